/* The matching engine for C, and for whatever can call C. One engine is one partition: deterministic, single-threaded,
 * without clock, files or network. What a field means, and every rule: docs/engine.md.
 *
 *   exch_engine *engine = exch_create(&config, error, sizeof error);
 *   exch_submit(engine, commands, n);
 *   while ((n = exch_poll(engine, reports, 256)) > 0) { ... }
 *   exch_destroy(engine);
 *
 * No function may be called on one engine from two threads at once. Enum values: exchange/types.hpp. */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct exch_engine exch_engine;

/* 0: no such rule. */
typedef struct exch_instrument {
  int64_t max_qty;
  int64_t reference_ticks;
  int64_t market_notional_cap; /* ticks times shares */
  uint32_t luld_bps;
  uint32_t collar_bps;
  uint32_t fat_finger_pct;
  uint32_t initial_state;
} exch_instrument;

typedef struct exch_config {
  const exch_instrument *instruments;
  size_t instrument_count;
  /* Limits of every firm that was given none of its own; 0: no limit. */
  int64_t max_order_qty;
  int64_t position_limit;
  int64_t rate_per_s;
  int64_t burst;
  uint32_t stp;
  uint32_t max_live_orders; /* 0: 2^24 */
  int64_t limit_state_ns;   /* 0: 15 s */
  int64_t halt_ns;          /* 0: 5 min */
  uint32_t partitions;      /* 0: 1 */
  uint32_t partition;
} exch_config;

typedef struct exch_command {
  uint8_t kind;
  uint8_t side;
  uint8_t ord_type;
  uint8_t tif;
  uint8_t stp;
  uint8_t state;
  uint8_t cl_ord_id_length; /* 0: none */
  uint8_t reserved;         /* 0, or the command is a bad one */
  uint32_t firm;
  uint32_t instrument;
  int64_t price_ticks;
  int64_t qty;
  int64_t stop_price_ticks;
  uint64_t order_id;
  int64_t ts_ns;
  char cl_ord_id[40];
} exch_command;

typedef struct exch_report {
  uint64_t exec_id;
  uint64_t seq_num;
  uint64_t order_id;
  uint64_t trade_id;
  uint64_t contra_order_id;
  uint32_t firm;
  uint32_t instrument;
  uint8_t exec_type;
  uint8_t ord_status;
  uint8_t reason;
  uint8_t side;
  uint8_t ord_type;
  uint8_t tif;
  uint8_t liquidity;
  uint8_t reserved;
  int32_t stop_price_ticks;
  int32_t price_ticks;
  int32_t last_px_ticks;
  int32_t reserved2;
  int64_t last_qty;
  int64_t order_qty;
  int64_t cum_qty;
  int64_t leaves_qty;
  int64_t cum_notional; /* avg_px = cum_notional / cum_qty, in ticks */
  int64_t value;
  int64_t limit;
} exch_report;

typedef struct exch_level {
  int64_t price_ticks;
  int64_t qty;
} exch_level;

/* Null on a configuration that makes no sense, or without memory: `error` then says which field (may be null). */
exch_engine *exch_create(const exch_config *config, char *error, size_t error_size);
void exch_destroy(exch_engine *engine);

/* Applies the commands in order. Returns how many reports wait to be polled; 0 with commands given: memory ran out, and
 * the engine must not be used further. A null pointer where something is wanted is answered with 0 by this and every
 * other function (exch_save: -1), and nothing happens. */
size_t exch_submit(exch_engine *engine, const exch_command *commands, size_t count);
/* Moves up to `capacity` waiting reports, oldest first; returns how many. */
size_t exch_poll(exch_engine *engine, exch_report *reports, size_t capacity);

/* Up to `capacity` best levels of one side (1 buy, 2 sell; of any other none); returns how many. */
size_t exch_depth(const exch_engine *engine, uint32_t instrument, uint8_t side, exch_level *levels, size_t capacity);
/* What an uncross would do now: price and quantity, both 0 when the book is not crossed. */
exch_level exch_indicative(const exch_engine *engine, uint32_t instrument);
uint64_t exch_state_hash(const exch_engine *engine);
uint64_t exch_last_seq_num(const exch_engine *engine);
/* When the next timer is due (a command of kind 6 must be submitted by then), or 0. */
int64_t exch_next_timer_ns(const exch_engine *engine);

/* The whole state in pieces. `put` returns 0 to go on; exch_save returns 0, or what `put` returned. */
int exch_save(const exch_engine *engine, int (*put)(void *context, const void *data, size_t size), void *context);
/* A new engine in the state that exch_save() gave; `get` returns how many bytes it filled, 0 at the end. Null as
 * exch_create(), and on bytes that are damaged or of another configuration. */
exch_engine *exch_load(const exch_config *config, size_t (*get)(void *context, void *data, size_t size), void *context, char *error,
                       size_t error_size);

#ifdef __cplusplus
}
#endif

#endif
