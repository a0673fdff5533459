-- Which of these files have been applied. The runner creates it before it reads it;
-- a run of two at once may write a row twice, which changes nothing.

CREATE TABLE IF NOT EXISTS {{.Database}}.migrations{{.OnCluster}} (
    version UInt32 COMMENT 'Number of the migration.',
    name String COMMENT 'File that holds it.',
    checksum String COMMENT 'SHA-256 of the file, hex: an applied file never changes.',
    applied_at DateTime64(3, 'UTC') COMMENT 'When it was applied.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "applied_at"}}
ORDER BY (version)
COMMENT 'Applied migrations.';
