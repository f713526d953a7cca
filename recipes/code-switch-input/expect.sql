-- Every prompt has a word that was switched, and the list of switches says where it stands.
SELECT messages FROM "code-switch-input"
WHERE json_array_length(attribute(attributes, 'code_switch.switched')) < 1
   OR substr(messages[-2].content, (attribute(attributes, 'code_switch.switched') ->> '$[0][2]')::INT + 1,
             length(attribute(attributes, 'code_switch.switched') ->> '$[0][4]'))
      != attribute(attributes, 'code_switch.switched') ->> '$[0][4]';

-- The answer is that of the row that it was made from.
SELECT switched.messages FROM "code-switch-input" switched LEFT JOIN original ON switched.lineage.parents[1] = original.id
WHERE switched.messages[-1].content IS DISTINCT FROM original.messages[-1].content;

-- The prompt is not that of the row that it was made from.
SELECT switched.messages FROM "code-switch-input" switched JOIN original ON switched.lineage.parents[1] = original.id
WHERE switched.messages[-2].content = original.messages[-2].content;

-- Commands and names stay.
SELECT switched.messages FROM "code-switch-input" switched JOIN original USING (group_id)
WHERE regexp_extract_all(switched.messages[-2].content, 'Amina|ls -l')
      IS DISTINCT FROM regexp_extract_all(original.messages[-2].content, 'Amina|ls -l');

-- The share of switched words is that asked for, as far as whole words allow.
SELECT messages, scores FROM "code-switch-input" WHERE score(scores, 'code_switch.ratio') NOT BETWEEN 0.2 AND 1;
