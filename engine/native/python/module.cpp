// engine._core. Python is known in this folder only; each file converts values and names errors, and decides nothing.
#include <nanobind/nanobind.h>

#include <exception>

#include "bindings.hpp"
#include "exchange/log.hpp"

namespace {

const char* name_of(exchange::LogCause cause) {
  using Cause = exchange::LogCause;
  switch (cause) {
    case Cause::other:
      return "other";
    case Cause::empty:
      return "empty";
    case Cause::damage:
      return "damage";
    case Cause::snapshot:
      return "snapshot";
    case Cause::in_use:
      return "in_use";
    case Cause::settings:
      return "settings";
    case Cause::system:
      return "system";
  }
  return "other";
}

// As nanobind's own does, and with the cause.
void raise_log_error(const std::exception_ptr& thrown, void* type) {
  try {
    std::rethrow_exception(thrown);
  } catch (const exchange::LogError& error) {
    auto* const python_type = static_cast<PyObject*>(type);
    const nanobind::object made = nanobind::borrow(python_type)(error.what());
    made.attr("cause") = name_of(error.cause());
    PyErr_SetObject(python_type, made.ptr());
  }
}

}  // namespace

NB_MODULE(_core, m) {
  const nanobind::exception<exchange::LogError> log_error(m, "LogError");
  log_error.attr("cause") = "other";
  nanobind::register_exception_translator(&raise_log_error, log_error.ptr());
  bind_engine(m);
  bind_link(m);
  bind_core(m);
  bind_log(m);
  bind_replay(m);
}
