-- In the other language the rejected answer is the direct one, and the chosen one is a translation of the dominant answer.
SELECT p.chosen, p.rejected FROM "language-imbalance" p
LEFT JOIN answers direct ON direct.group_id = p.group_id AND direct.language = 'pt'
LEFT JOIN crossed moved ON moved.group_id = p.group_id AND moved.language = 'pt' AND moved.messages[-1].content = p.chosen[1].content
LEFT JOIN answers dominant ON dominant.id = moved.lineage.parents[1]
WHERE p.language = 'pt' AND (p.rejected[1].content IS DISTINCT FROM direct.messages[-1].content OR dominant.language IS DISTINCT FROM 'en');

-- In the dominant language it is the other way round.
SELECT p.chosen, p.rejected FROM "language-imbalance" p
LEFT JOIN answers direct ON direct.group_id = p.group_id AND direct.language = 'en'
LEFT JOIN crossed moved ON moved.group_id = p.group_id AND moved.language = 'en' AND moved.messages[-1].content = p.rejected[1].content
LEFT JOIN answers other ON other.id = moved.lineage.parents[1]
WHERE p.language = 'en' AND (p.chosen[1].content IS DISTINCT FROM direct.messages[-1].content OR other.language IS DISTINCT FROM 'pt');

-- Each prompt gives a pair in both languages.
SELECT answers.group_id FROM answers LEFT JOIN "language-imbalance" pairs USING (group_id, language) WHERE pairs.id IS NULL;

-- The prompt is the one that was answered.
SELECT p.prompt FROM "language-imbalance" p LEFT JOIN answers a ON a.group_id = p.group_id AND a.language = p.language
WHERE p.prompt[1].content IS DISTINCT FROM a.messages[1].content;
