import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.zip.CRC32;

/**
 * What every peer is told (name=value arguments) and what it tells: a line "first MS" when its first event has been read,
 * "last MS" when everything is done, and, where the sessions go nowhere, "sessions COUNT EVENTS SUM".
 */
final class Run {
  static final long GAP_MS = 30 * 60_000;
  /** The log is out of order by less than this. */
  static final long OUT_OF_ORDER_MS = 60_000;

  private static final AtomicLong FIRST_MS = new AtomicLong();
  private static final LongAdder SESSIONS = new LongAdder();
  private static final LongAdder EVENTS = new LongAdder();
  private static final LongAdder SUM = new LongAdder();

  private Run() {}

  static Map<String, String> arguments(String[] args) {
    Map<String, String> all = new HashMap<>();
    for (String arg : args) {
      int at = arg.indexOf('=');
      all.put(arg.substring(0, at), arg.substring(at + 1));
    }
    return all;
  }

  static void sawEvent() {
    if (FIRST_MS.get() == 0 && FIRST_MS.compareAndSet(0, System.currentTimeMillis())) {
      System.out.println("first " + FIRST_MS);
    }
  }

  static long sinceFirstMs() {
    return FIRST_MS.get() == 0 ? 0 : System.currentTimeMillis() - FIRST_MS.get();
  }

  /** Everything is done: what the run took is read now, until the input ends. */
  static void done(String... lines) throws java.io.IOException {
    System.out.println("last " + System.currentTimeMillis());
    for (String line : lines) {
      System.out.println(line);
    }
    System.in.readAllBytes();
  }

  /** Counts a session that is dropped: "network/user start end events". */
  static void drop(String session, long events) {
    CRC32 crc = new CRC32();
    crc.update(session.getBytes(StandardCharsets.ISO_8859_1));
    SESSIONS.increment();
    EVENTS.add(events);
    SUM.add(crc.getValue());
  }

  static String dropped() {
    return "sessions " + SESSIONS + " " + EVENTS + " " + SUM;
  }
}
