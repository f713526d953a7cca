-- The planted answer about something else is dropped, where the encoder can be trusted.
SELECT found FROM (SELECT count(*) AS found FROM trusted.rejected WHERE group_id = 'originals:21' AND language = 'ru') WHERE found != 1;

-- Russian rows have a similarity, at least the pair's threshold.
SELECT messages, scores FROM trusted WHERE language = 'ru' AND coalesce(score(scores, 'similarity'), 0) < 0.3;

-- Hindi and Swahili are kept without a similarity, and each row says so.
SELECT messages, scores FROM trusted WHERE language IN ('hi', 'sw')
  AND (score(scores, 'similarity') IS NOT NULL OR attribute(attributes, 'similarity.unassessed') IS DISTINCT FROM 'encoder');

-- Of what the encoder cannot judge nothing is dropped.
SELECT id FROM translations WHERE language IN ('hi', 'sw') AND id NOT IN (SELECT id FROM trusted);
