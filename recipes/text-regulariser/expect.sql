-- Six rows have images, four do not.
SELECT n, m FROM (SELECT count(*) FILTER (len(images) > 0) AS n, count(*) AS m FROM "text-regulariser") WHERE n != 6 OR m != 10;

-- Images are those of the row, in their order, one for each place.
SELECT made.messages, made.images FROM "text-regulariser" made LEFT JOIN "with-images" original USING (id)
WHERE len(made.images) > 0 AND (original.images IS DISTINCT FROM made.images
      OR len(regexp_extract_all(made.messages[1].content, '<image>')) != len(made.images));

-- Rows without images are in other languages than those with, more than one.
SELECT n, tags FROM (SELECT count(*) FILTER (language = 'en') AS n, count(DISTINCT language) AS tags FROM "text-regulariser" WHERE coalesce(len(images), 0) = 0) WHERE n > 0 OR tags < 2;
