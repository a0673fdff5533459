import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.SessionBytesStoreSupplier;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/**
 * Sessions by Kafka Streams, one thread a partition. The topic's key is network/user and every user has one device, so that the
 * topic needs no repartitioning, which would cost as much again. The sessions go to a topic as a table's changes do: what
 * a session was before it grew is withdrawn. The process ends when every event is counted, or its time is up, and everything is
 * committed.
 */
public final class StreamsSessions {
  private static final LongAdder COUNTED = new LongAdder();

  public static void main(String[] args) throws Exception {
    Map<String, String> run = Run.arguments(args);
    long events = Long.parseLong(run.get("events"));
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(run.get("topic"), Consumed.with(Serdes.String(), eventSerde())
            // A record that is no event has no time, and is dropped.
            .withTimestampExtractor((record, ignored) -> record.value() == null ? -1 : ((Event) record.value()).timeMs))
        .groupByKey(Grouped.with(Serdes.String(), eventSerde()))
        .windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofMillis(Run.GAP_MS), Duration.ofMillis(Run.OUT_OF_ORDER_MS)))
        .aggregate(() -> 0L, (key, event, count) -> { COUNTED.increment(); return count + 1; }, (key, a, b) -> a + b,
            Materialized.<String, Long>as(store(run.get("state"))).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()).withCachingEnabled())
        .toStream()
        .map((key, count) -> KeyValue.pair(key.key() + " " + key.window().start() + " " + key.window().end(), count == null ? null : count.toString()))
        .to(run.get("out"), Produced.with(Serdes.String(), Serdes.String()));
    Properties config = configuration(run);
    CompletableFuture<Void> failed = new CompletableFuture<>();
    KafkaStreams streams = new KafkaStreams(builder.build(config), config);
    streams.setUncaughtExceptionHandler(e -> {
      failed.completeExceptionally(e);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.start();
    long limitMs = Long.parseLong(run.get("limit_ms"));
    while (COUNTED.sum() < events && !failed.isDone() && Run.sinceFirstMs() < limitMs) {
      Thread.sleep(20);
    }
    long counted = COUNTED.sum(); // fewer than all where time was up
    if (failed.isDone()) {
      failed.get();
    }
    if (!streams.close(Duration.ofMinutes(2))) { // commits
      throw new IllegalStateException("streams did not close within two minutes");
    }
    Run.done("counted " + counted);
  }

  /** RocksDB has a database for every half of the retention: three hours of event time, as small ones are opened all the time. */
  private static SessionBytesStoreSupplier store(String state) {
    return state.equals("memory")
        ? Stores.inMemorySessionStore("sessions", Duration.ofMillis(Run.GAP_MS + Run.OUT_OF_ORDER_MS))
        : Stores.persistentSessionStore("sessions", Duration.ofHours(6));
  }

  private static Properties configuration(Map<String, String> run) {
    boolean exactlyOnce = run.get("guarantee").equals("exactly-once");
    Properties c = new Properties();
    c.put(StreamsConfig.APPLICATION_ID_CONFIG, run.get("name"));
    c.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, run.get("brokers"));
    c.put(StreamsConfig.STATE_DIR_CONFIG, run.get("dir") + "/state");
    c.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, run.get("partitions"));
    c.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
    c.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, exactlyOnce ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
    // "Memory Management": a cache that holds the sessions in progress lets one write stand for many. With exactly once the
    // interval is 100 ms by default, which would flush it all the time.
    c.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    c.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, exactlyOnce ? 10_000 : 30_000);
    c.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Rocks.class);
    c.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    c.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
    c.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
    c.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
    c.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    c.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    c.put(StreamsConfig.producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 120_000);
    return c;
  }

  /** The manual's example of bounded memory, with room for all segments: one cache and one write buffer for all stores. */
  public static final class Rocks implements RocksDBConfigSetter {
    private static final Cache CACHE = new LRUCache(256L << 20);
    private static final WriteBufferManager BUFFERS = new WriteBufferManager(128L << 20, CACHE);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
      BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
      table.setBlockCache(CACHE);
      table.setCacheIndexAndFilterBlocks(true);
      table.setPinTopLevelIndexAndFilter(true);
      options.setWriteBufferManager(BUFFERS);
      options.setTableFormatConfig(table);
    }

    @Override
    public void close(String store, Options options) {} // shared by all stores until the process ends
  }

  private static Serde<Event> eventSerde() {
    Serializer<Event> never = (topic, event) -> { throw new UnsupportedOperationException("events are only read"); };
    Deserializer<Event> json = (topic, value) -> {
      try {
        Event e = Event.parse(value);
        if (e != null) {
          Run.sawEvent();
        }
        return e;
      } catch (java.io.IOException e) {
        throw new org.apache.kafka.common.errors.SerializationException(new String(value, StandardCharsets.UTF_8), e);
      }
    };
    return Serdes.serdeFrom(never, json);
  }
}
