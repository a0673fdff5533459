-- Parts of events are merged by some fifteen, not by five. A merge costs a row of
-- events at least half of what its insert does, and each level of sizes merges
-- every row once: what one flush after the other leaves takes half as many levels.
-- Price: more parts in the newest month, each a granule that a question about one
-- user's events reads. Parts that rest are merged further, as before; sessions and
-- slices, which are asked for all the time, are merged as before.

ALTER TABLE {{.Database}}.events_versions{{.OnCluster}}
    MODIFY SETTING merge_selector_base = 16;
