package peer;

import exchange.core2.collections.objpool.ObjectsPool;
import exchange.core2.core.common.CoreSymbolSpecification;
import exchange.core2.core.common.MatcherEventType;
import exchange.core2.core.common.MatcherTradeEvent;
import exchange.core2.core.common.OrderAction;
import exchange.core2.core.common.OrderType;
import exchange.core2.core.common.SymbolType;
import exchange.core2.core.common.cmd.CommandResultCode;
import exchange.core2.core.common.cmd.OrderCommand;
import exchange.core2.core.common.cmd.OrderCommandType;
import exchange.core2.core.common.config.LoggingConfiguration;
import exchange.core2.core.orderbook.IOrderBook;
import exchange.core2.core.orderbook.OrderBookDirectImpl;
import exchange.core2.core.orderbook.OrderBookEventsHelper;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;

/**
 * Feeds a flow (engine/native/bench/flow.hpp tells its bytes) to exchange-core's fast order book, the matching alone: no ring
 * buffer, no risk stage, no journal. Prints operations a second of each run, the first being a warm-up that does not count, and
 * the hash of all trades.
 */
public final class Main {
  private static final int RECORD = 40;
  private static final int NEW_ORDER = 1;

  private final MappedByteBuffer flow;
  private final int records;
  private final IOrderBook[] books;
  private final OrderCommand command = new OrderCommand();
  private long hash = 0xCBF29CE484222325L;
  private long trades;

  private Main(MappedByteBuffer flow, int instruments) {
    this.flow = flow;
    this.records = flow.capacity() / RECORD;
    this.books = new IOrderBook[instruments];
    ObjectsPool pool = pool();
    for (int i = 0; i < instruments; i++) {
      CoreSymbolSpecification symbol =
          CoreSymbolSpecification.builder().symbolId(i).type(SymbolType.CURRENCY_EXCHANGE_PAIR).baseCurrency(1).quoteCurrency(2).baseScaleK(1)
              .quoteScaleK(1).build();
      books[i] = new OrderBookDirectImpl(symbol, pool, OrderBookEventsHelper.NON_POOLED_EVENTS_HELPER, LoggingConfiguration.DEFAULT);
    }
  }

  /** As large as in exchange-core's own matching engine. */
  private static ObjectsPool pool() {
    Map<Integer, Integer> sizes = new HashMap<>();
    sizes.put(ObjectsPool.DIRECT_ORDER, 1024 * 1024);
    sizes.put(ObjectsPool.DIRECT_BUCKET, 1024 * 64);
    sizes.put(ObjectsPool.ART_NODE_4, 1024 * 32);
    sizes.put(ObjectsPool.ART_NODE_16, 1024 * 16);
    sizes.put(ObjectsPool.ART_NODE_48, 1024 * 8);
    sizes.put(ObjectsPool.ART_NODE_256, 1024 * 4);
    return new ObjectsPool(sizes);
  }

  private void apply(int record) {
    int at = record * RECORD;
    boolean adds = flow.get(at) == NEW_ORDER;
    command.command = adds ? OrderCommandType.PLACE_ORDER : OrderCommandType.CANCEL_ORDER;
    command.action = flow.get(at + 1) == 1 ? OrderAction.BID : OrderAction.ASK;
    command.orderType = flow.get(at + 2) == 1 ? OrderType.IOC : OrderType.GTC;
    command.uid = flow.getInt(at + 4);
    command.symbol = flow.getInt(at + 8);
    command.price = flow.getLong(at + 16);
    command.reserveBidPrice = command.price;
    command.size = flow.getLong(at + 24);
    command.orderId = flow.getLong(at + 32);
    command.resultCode = CommandResultCode.VALID_FOR_MATCHING_ENGINE;
    command.matcherEvent = null;
    IOrderBook.processCommand(books[command.symbol], command);
    if (adds) {
      hashTrades();
    }
  }

  private void hashTrades() {
    for (MatcherTradeEvent event = command.matcherEvent; event != null; event = event.nextEvent) {
      if (event.eventType == MatcherEventType.TRADE) {
        word(event.price);
        word(event.size);
        word(event.matchedOrderId);
        word(command.orderId);
        trades++;
      }
    }
  }

  private void word(long value) {
    hash = (hash ^ value) * 0x100000001B3L;
    hash ^= hash >>> 29;
  }

  /** Operations a second behind the preload. */
  private double run() {
    int first = 0;
    while (first < records && flow.getInt(first * RECORD + 12) == 1) {
      apply(first++);
    }
    long begin = System.nanoTime();
    for (int i = first; i < records; i++) {
      apply(i);
    }
    return (records - first) * 1e9 / (System.nanoTime() - begin);
  }

  /** Arguments: the flow's file, the number of instruments, the number of runs. */
  public static void main(String[] arguments) throws Exception {
    try (FileChannel file = FileChannel.open(Path.of(arguments[0]), StandardOpenOption.READ)) {
      MappedByteBuffer flow = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size());
      flow.order(ByteOrder.LITTLE_ENDIAN);
      StringBuilder rates = new StringBuilder();
      Main main = null;
      for (int run = 0; run <= Integer.parseInt(arguments[2]); run++) {
        main = new Main(flow, Integer.parseInt(arguments[1]));
        double rate = main.run();
        if (run > 0) {
          rates.append(run > 1 ? ", " : "").append(String.format("%.0f", rate));
        }
      }
      System.out.printf("{\"per_s\": [%s], \"trades\": %d, \"trade_hash\": \"%016x\"}%n", rates, main.trades, main.hash);
    }
  }
}
