-- What belongs to the installation: the epochs of Kafka's topic ids (rows of an
-- unknown topic would carry lower versions than what they replace), and the keys
-- of the read API, as hashes.

CREATE TABLE IF NOT EXISTS {{.Database}}.topic_epochs_versions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    topic_id String COMMENT 'Kafka''s id of the topic.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    registered_at DateTime64(3, 'UTC') COMMENT 'When the id was first seen.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (topic, epoch, topic_id)
COMMENT 'Every stored copy of an epoch. Use the view topic_epochs.';

CREATE VIEW IF NOT EXISTS {{.Database}}.topic_epochs{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    topic_id String COMMENT 'Kafka''s id of the topic.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    registered_at DateTime64(3, 'UTC') COMMENT 'When the id was first seen.'
) AS
SELECT
    topic, topic_id, epoch, registered_at
FROM {{.Database}}.topic_epochs_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Epoch of each topic id that fed these tables.';

CREATE TABLE IF NOT EXISTS {{.Database}}.api_keys_versions{{.OnCluster}} (
    key_hash String COMMENT 'SHA-256 of the key, hex. The key itself is kept nowhere.',
    name String COMMENT 'What the key is for.',
    scopes Array(String) COMMENT 'What the key may do; admin is everything.',
    networks Array(String) COMMENT 'Networks that the key may see; empty means every one.',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was made.',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ends; NULL never.',
    revoked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was revoked; NULL if it was not.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (key_hash)
COMMENT 'Every stored version of an API key. Use the view api_keys.';

CREATE VIEW IF NOT EXISTS {{.Database}}.api_keys{{.OnCluster}} (
    key_hash String COMMENT 'SHA-256 of the key, hex. The key itself is kept nowhere.',
    name String COMMENT 'What the key is for.',
    scopes Array(String) COMMENT 'What the key may do; admin is everything.',
    networks Array(String) COMMENT 'Networks that the key may see; empty means every one.',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was made.',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ends; NULL never.',
    revoked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was revoked; NULL if it was not.'
) AS
SELECT
    key_hash, name, scopes, networks, created_at, expires_at, revoked_at
FROM {{.Database}}.api_keys_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'API keys, as hashes.';
