package engine

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeConfigFiles writes config.xml and users.xml beside the tables and gives
// the connect arguments. Without an explicit --config-file the engine reads
// ./config.xml of the working directory.
func writeConfigFiles(c Config) (argv []string, err error) {
	dir := filepath.Join(c.Path, "config")
	store := filepath.Join(c.Path, "store")
	for _, d := range []string{dir, store} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make engine folder %s: %w", d, err)
		}
	}
	users := filepath.Join(dir, "users.xml")
	for name, text := range map[string]string{
		filepath.Join(dir, "config.xml"): serverXML(c, users),
		users:                            usersXML(c),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write engine config %s: %w", name, err)
		}
	}
	return []string{
		"daybook-engine",
		"--config-file=" + filepath.Join(dir, "config.xml"),
		"--path=" + store,
	}, nil
}

// serverXML bounds the engine's memory and makes inserts durable: the engine's
// own defaults lose acknowledged rows at a power cut (ENGINE.md section 4).
//
// There is deliberately no deduplication window: an identical block inserted
// again after an ALTER DELETE would be dropped while reporting success.
//
// What an insert writes is a compact part, however large: columns in files of
// their own are for merged parts. A block of 50,000 events in files by column
// was 120 files to make and to sync, half of what its insert cost.
//
// Statistics of columns, which the engine makes of every part by itself, serve
// the order of joins and the choice of parts; no question here needs them, and
// inserts and merges paid for them in CPU.
func serverXML(c Config, users string) string {
	return fmt.Sprintf(`<clickhouse>
  <users_config>%s</users_config>
  <timezone>UTC</timezone>
  <max_server_memory_usage>%d</max_server_memory_usage>
  <max_server_memory_usage_to_ram_ratio>0.9</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>67108864</mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>100</mmap_cache_size>
  <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
  <merge_tree>
    <old_parts_lifetime>480</old_parts_lifetime>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    <min_level_for_wide_part>1</min_level_for_wide_part>
    <auto_statistics_types></auto_statistics_types>
  </merge_tree>
</clickhouse>
`, escapeXML(users), c.MemoryBytes)
}

// usersXML restricts the engine's one user. SQL users do not exist, so the door
// keeps the passwords and chooses the role; the grants close files, URLs and
// remote sources for both. The trailing * is a prefix grant: databases of tests
// are named after the main one.
func usersXML(c Config) string {
	return fmt.Sprintf(`<clickhouse>
  <profiles>
    <default>
      <async_insert>0</async_insert>
      <min_insert_block_size_bytes>67108864</min_insert_block_size_bytes>
      <http_max_tries>1</http_max_tries>
      <http_connection_timeout>2</http_connection_timeout>
    </default>
  </profiles>
  <roles>
    <app>
      <grants>
        <query>GRANT SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON %[1]s*.*</query>
        <query>GRANT SYSTEM, KILL QUERY, CREATE TEMPORARY TABLE, SHOW ON *.*</query>
        <query>GRANT SELECT ON system.*</query>
        <query>GRANT SELECT ON information_schema.*</query>
      </grants>
    </app>
    <reader>
      <grants>
        <query>GRANT SELECT, SHOW ON %[1]s*.*</query>
        <query>GRANT SELECT ON system.*</query>
        <query>GRANT SELECT ON information_schema.*</query>
      </grants>
    </reader>
  </roles>
  <users>
    <default>
      <password></password>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <grants>
        <query>GRANT app, reader</query>
      </grants>
    </default>
  </users>
</clickhouse>
`, c.Database)
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
