-- Each row has its three parts, all different.
SELECT messages, attributes FROM "align-cot"
WHERE len(list_distinct([attribute(attributes, 'rewrite.analysis'), attribute(attributes, 'rewrite.guidance'), messages[-1].content])) != 3;

-- All parts are in the language of the request.
SELECT messages, attributes FROM "align-cot"
WHERE len(list_filter([attribute(attributes, 'rewrite.analysis'), attribute(attributes, 'rewrite.guidance'), messages[-1].content],
                      lambda part: regexp_matches(part, '\p{Devanagari}') = (language = 'hi'))) != 3;

-- Where the harm is said, it is kept.
SELECT attributes FROM "align-cot" WHERE coalesce(attribute(attributes, 'harm'), '') NOT IN ('global', 'local');

-- A task for a later part shows the earlier ones, and asks for its own.
SELECT part.messages FROM "each-part" part LEFT JOIN "align-cot" whole ON part.lineage.parents[1] = whole.id
WHERE part.messages[2].content IS DISTINCT FROM CASE attribute(part.attributes, 'compose.part')
        WHEN 'analysis' THEN attribute(whole.attributes, 'rewrite.analysis')
        WHEN 'guidance' THEN attribute(whole.attributes, 'rewrite.guidance') ELSE whole.messages[2].content END
   OR (attribute(part.attributes, 'compose.part') != 'analysis') != contains(part.messages[1].content, attribute(whole.attributes, 'rewrite.analysis'));
