-- Prompt and answer are English, the original prompt is kept with its language.
SELECT messages, language FROM "self-translate"
WHERE language != 'en' OR coalesce(attribute(attributes, 'compose.original_language'), '') != 'sw'
   OR coalesce(attribute(attributes, 'compose.original'), messages[1].content) = messages[1].content;

-- The rows are those translations that belong to their originals.
SELECT want FROM (VALUES ('Elezea bahari kwa sentensi moja kwa mtu ambaye hajawahi kuiona.', 'Describe the sea in one sentence to someone who has never seen it.', 'water'),
                         ('Mweleze mtoto jinsi nyuki wanavyotengeneza asali.', 'Explain to a child how bees make honey.', 'nectar')) AS wanted(want, have, word)
LEFT JOIN "self-translate" made ON attribute(made.attributes, 'compose.original') = want AND made.messages[1].content = have AND contains(made.messages[2].content, word)
WHERE made.id IS NULL;

-- The same model translated and answered.
SELECT lineage.makers FROM "self-translate"
WHERE len(list_filter(lineage.makers, lambda maker: maker.step IN ('translate', 'respond') AND maker.model = 'demo/writer@unknown')) != 2;
