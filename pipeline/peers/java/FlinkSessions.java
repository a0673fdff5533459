import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.state.rocksdb.RocksDBOptions;
import org.apache.flink.state.rocksdb.RocksDBConfigurableOptions;
import org.apache.flink.state.rocksdb.PredefinedOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Sessions by Flink, in a mini cluster of this JVM. The topic is read to the end that it has at the start; the job then ends by
 * itself, which closes the windows that are open and takes a last checkpoint. An event travels as (key, time), a session as
 * (network/user, start, end, events): Flink's own tuples, whose serializers its manual names as the fastest.
 */
public final class FlinkSessions {
  private static final TypeInformation<Tuple2<String, Long>> EVENT = TypeInformation.of(new TypeHint<>() {});
  private static final TypeInformation<Tuple4<String, Long, Long, Long>> SESSION = TypeInformation.of(new TypeHint<>() {});

  public static void main(String[] args) throws Exception {
    Map<String, String> run = Run.arguments(args);
    boolean exactlyOnce = run.get("guarantee").equals("exactly-once");
    boolean toKafka = run.get("sink").equals("kafka");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(configuration(run));
    env.setParallelism(Integer.parseInt(run.get("partitions")));
    env.enableCheckpointing(10_000, exactlyOnce ? CheckpointingMode.EXACTLY_ONCE : CheckpointingMode.AT_LEAST_ONCE);

    KafkaSource<Tuple2<String, Long>> source = KafkaSource.<Tuple2<String, Long>>builder()
        .setBootstrapServers(run.get("brokers"))
        .setTopics(run.get("topic"))
        .setGroupId(run.get("name"))
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.latest())
        .setDeserializer(new Decode())
        .setProperty("max.poll.records", "5000") // fewer turns than with 500, the client's default
        .setProperty("max.partition.fetch.bytes", "4194304")
        .build();
    DataStream<Tuple4<String, Long, Long, Long>> sessions = env
        .fromSource(source, WatermarkStrategy.<Tuple2<String, Long>>forBoundedOutOfOrderness(Duration.ofMillis(Run.OUT_OF_ORDER_MS))
            .withTimestampAssigner((e, ignored) -> e.f1), "events", EVENT)
        .keyBy(e -> e.f0)
        .window(EventTimeSessionWindows.withGap(Duration.ofMillis(Run.GAP_MS)))
        .aggregate(new Count(), new Finish(), TypeInformation.of(Long.class), SESSION);
    if (toKafka) {
      sessions.sinkTo(sink(run, exactlyOnce));
    } else {
      sessions.map(s -> { Run.drop(s.f0 + " " + s.f1 + " " + s.f2 + " " + s.f3, s.f3); return s; }).returns(SESSION).sinkTo(new DiscardingSink<>());
    }
    env.execute();
    Run.done(Run.dropped());
    System.exit(0);
  }

  private static Configuration configuration(Map<String, String> run) {
    Configuration c = new Configuration();
    // Operators of one chain hand objects over without copies ("Execution Configuration": enableObjectReuse).
    c.set(PipelineOptions.OBJECT_REUSE, true);
    // A buffer leaves when it is full: "to maximize throughput, set setBufferTimeout(-1)" (DataStream API, "Controlling Latency").
    c.set(ExecutionOptions.BUFFER_TIMEOUT_ENABLED, false);
    c.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, Duration.ofMillis(200)); // the default
    c.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    c.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + run.get("dir") + "/checkpoints");
    c.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(64));
    c.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(64));
    if (run.get("state").equals("heap")) {
      c.set(StateBackendOptions.STATE_BACKEND, "hashmap");
      return c;
    }
    c.set(StateBackendOptions.STATE_BACKEND, "rocksdb");
    // "Tuning Checkpoints and Large State": incremental checkpoints, enough managed memory, timers on the heap while they fit.
    c.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
    c.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(512));
    c.setString("state.backend.rocksdb.timer-service.factory", "HEAP");
    c.set(RocksDBOptions.LOCAL_DIRECTORIES, run.get("dir") + "/rocksdb");
    c.set(RocksDBOptions.PREDEFINED_OPTIONS, PredefinedOptions.FLASH_SSD_OPTIMIZED.name());
    c.set(RocksDBConfigurableOptions.USE_BLOOM_FILTER, true); // point reads of keys that are mostly not there
    return c;
  }

  private static KafkaSink<Tuple4<String, Long, Long, Long>> sink(Map<String, String> run, boolean exactlyOnce) {
    Properties producer = new Properties();
    producer.put("linger.ms", "100");
    producer.put("batch.size", "262144");
    producer.put("compression.type", "lz4");
    producer.put("transaction.timeout.ms", "600000");
    String topic = run.get("out");
    KafkaRecordSerializationSchema<Tuple4<String, Long, Long, Long>> encode = (s, context, now) -> new ProducerRecord<>(topic,
        (s.f0 + " " + s.f1 + " " + s.f2).getBytes(StandardCharsets.ISO_8859_1), Long.toString(s.f3).getBytes(StandardCharsets.ISO_8859_1));
    return KafkaSink.<Tuple4<String, Long, Long, Long>>builder()
        .setBootstrapServers(run.get("brokers"))
        .setKafkaProducerConfig(producer)
        .setRecordSerializer(encode)
        .setDeliveryGuarantee(exactlyOnce ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE)
        .setTransactionalIdPrefix(run.get("name"))
        .build();
  }

  /** JSON to (network/user/device, time). */
  private static final class Decode implements KafkaRecordDeserializationSchema<Tuple2<String, Long>> {
    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple2<String, Long>> out) throws java.io.IOException {
      Event e = Event.parse(record.value());
      if (e != null) {
        Run.sawEvent();
        out.collect(Tuple2.of(e.network + "/" + e.user + "/" + e.device, e.timeMs));
      }
    }

    @Override
    public TypeInformation<Tuple2<String, Long>> getProducedType() {
      return EVENT;
    }
  }

  /** Counts as events come, so that a window holds one number ("Incremental Window Aggregation"); it knows its ends itself. */
  private static final class Count implements AggregateFunction<Tuple2<String, Long>, Long, Long> {
    @Override
    public Long createAccumulator() {
      return 0L;
    }

    @Override
    public Long add(Tuple2<String, Long> event, Long count) {
      return count + 1;
    }

    @Override
    public Long merge(Long a, Long b) {
      return a + b;
    }

    @Override
    public Long getResult(Long count) {
      return count;
    }
  }

  private static final class Finish implements WindowFunction<Long, Tuple4<String, Long, Long, Long>, String, TimeWindow> {
    @Override
    public void apply(String key, TimeWindow window, Iterable<Long> counts, Collector<Tuple4<String, Long, Long, Long>> out) {
      String user = key.substring(0, key.lastIndexOf('/')); // one device a user in this log
      out.collect(Tuple4.of(user, window.getStart(), window.getEnd() - Run.GAP_MS, counts.iterator().next()));
    }
  }
}
