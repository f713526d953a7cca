-- The target is the text as it was, the source is not.
SELECT pairs.source, pairs.target FROM pairs LEFT JOIN sentences ON pairs.group_id = sentences.group_id AND pairs.target = sentences.text
WHERE sentences.id IS NULL OR pairs.source = pairs.target;

-- A switched text has at least half of the original's words, and its lines.
SELECT source, target FROM pairs
WHERE len(list_intersect(string_split(source, ' '), string_split(target, ' '))) * 2 < len(list_distinct(string_split(target, ' ')))
   OR len(string_split(source, chr(10))) != len(string_split(target, chr(10)));

-- A conversation asks to restore the text that a pair has, and answers with the original.
SELECT conversations.messages FROM conversations LEFT JOIN pairs
  ON conversations.messages[1].content = 'Rewrite this text in one language only.' || chr(10) || chr(10) || pairs.source
 AND conversations.messages[2].content = pairs.target
WHERE pairs.id IS NULL;
