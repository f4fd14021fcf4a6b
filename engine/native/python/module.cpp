// engine._core. Python is known in this folder only; each file converts values and names errors, and decides nothing.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "exchange/log.hpp"

NB_MODULE(_core, m) {
  const nanobind::exception<exchange::LogError> log_error(m, "LogError");
  bind_engine(m);
  bind_link(m);
  bind_core(m);
  bind_log(m);
  bind_replay(m);
}
