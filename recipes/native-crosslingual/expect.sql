-- Each answer is a native text as it is in the source, or its title.
SELECT x.messages FROM "about-a-subject" x LEFT JOIN native ON x.lineage.parents[1] = native.id
WHERE x.messages[2].content IS DISTINCT FROM native.text AND x.messages[2].content IS DISTINCT FROM attribute(native.attributes, 'title');

-- Instructions are English, answers are not.
SELECT messages FROM "native-crosslingual" WHERE prompt_language IS DISTINCT FROM 'en' OR language != 'sw' OR NOT contains(messages[1].content, 'Swahili');

-- The instruction names the subject of its text.
SELECT x.messages FROM "about-a-subject" x JOIN native ON x.lineage.parents[1] = native.id
WHERE NOT contains(x.messages[1].content, attribute(native.attributes, 'subject')) AND NOT contains(x.messages[1].content, native.text);
