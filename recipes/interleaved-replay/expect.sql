-- Each of the four parts has a quarter of the mixture.
SELECT n FROM (SELECT unnest([
    (SELECT count(*) FROM "interleaved-replay" WHERE id IN (SELECT id FROM denoising)), (SELECT count(*) FROM "interleaved-replay" WHERE id IN (SELECT id FROM translation)),
    (SELECT count(*) FROM "interleaved-replay" WHERE id IN (SELECT id FROM similarity)), (SELECT count(*) FROM "interleaved-replay" WHERE id IN (SELECT id FROM replay))]) AS n)
WHERE n != 10;

-- A sentence to restore differs from the one that is the answer, and its translation stands before it.
SELECT denoising.messages FROM denoising LEFT JOIN translation ON translation.language = 'pt' AND translation.messages[2].content = denoising.messages[2].content
WHERE translation.id IS NULL OR ends_with(denoising.messages[1].content, ': ' || denoising.messages[2].content)
   OR NOT contains(denoising.messages[1].content, split_part(translation.messages[1].content, chr(10), 3));

-- A true statement has a sentence and its translation, a false one does not.
SELECT similarity.messages FROM similarity
WHERE (messages[2].content = 'true') != EXISTS (SELECT 1 FROM translation WHERE translation.language = 'pt'
  AND starts_with(similarity.messages[1].content, split_part(translation.messages[1].content, chr(10), 3) || chr(10) || translation.messages[2].content || chr(10)));

-- As many statements are false as true.
SELECT label, n FROM (SELECT messages[2].content AS label, count(*) AS n FROM similarity GROUP BY ALL) WHERE n != 12;
