/* The same from C. Built and run by the tests. */
#include <exchange/exchange.h>
#include <stdio.h>

int main(void) {
  exch_instrument share = {.max_qty = 10000, .initial_state = 2};
  exch_config config = {.instruments = &share, .instrument_count = 1};
  char error[200];
  exch_engine *engine = exch_create(&config, error, sizeof error);
  if (engine == NULL) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  exch_command orders[4] = {
      {.kind = 1, .side = 2, .ord_type = 2, .firm = 1, .price_ticks = 1001, .qty = 100},
      {.kind = 1, .side = 2, .ord_type = 2, .firm = 1, .price_ticks = 1002, .qty = 100},
      {.kind = 1, .side = 2, .ord_type = 2, .firm = 1, .price_ticks = 1003, .qty = 100},
      {.kind = 1, .side = 1, .ord_type = 2, .tif = 3, .firm = 2, .price_ticks = 1002, .qty = 250},
  };
  exch_submit(engine, orders, 4);
  exch_report reports[16];
  for (size_t n = exch_poll(engine, reports, 16), i = 0; i < n; ++i) {
    if (reports[i].exec_type == 15) {
      printf("order %llu: %lld at %d\n", (unsigned long long)reports[i].order_id, (long long)reports[i].last_qty, reports[i].last_px_ticks);
    }
  }
  exch_level asks[10];
  printf("asks left: %zu levels\n", exch_depth(engine, 0, 2, asks, 10));
  exch_destroy(engine);
  return 0;
}
