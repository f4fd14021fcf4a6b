// Instrument states, and the timers of price bands.
#include "state.hpp"

namespace exchange {

void State::session(const Command& command) {
  if (command.instrument != kAllInstruments && command.instrument >= instruments.size()) {
    refuse(command, RejectReason::unknown_instrument, command.instrument, static_cast<std::int64_t>(instruments.size()));
    return;
  }
  const bool all = command.instrument == kAllInstruments;
  const std::size_t first = all ? 0 : command.instrument;
  const std::size_t last = all ? instruments.size() : first + 1;
  std::int64_t changed = 0;
  for (std::size_t i = first; i < last; ++i) {
    // A halt by hand on one that would reopen by itself takes its timer away.
    if (instruments[i].state != command.state || instruments[i].timer == TimerKind::halt) {
      begin_range();
      change_state(instruments[i], command.state, now);
      ++changed;
    }
  }
  control_done(command, changed);
}

void State::change_state(Instrument& in, SessionState to, TimeNs time) {
  const SessionState from = in.state;
  const bool auction = from == SessionState::opening_auction || from == SessionState::closing_auction;
  const bool uncrosses = to == SessionState::continuous || (to == SessionState::closed && auction);
  const Indicative at = uncrosses ? indicative(in) : Indicative{};
  clear_timer(in);
  in.state = to;
  Report& made = report_bare(ExecType::session, 0, index_of(in), static_cast<std::int64_t>(to), static_cast<std::int64_t>(from));
  made.last_px_ticks = static_cast<std::int32_t>(at.price_ticks);
  made.last_qty = at.qty;
  if (at.qty > 0) {
    uncross(in, at);
    set_reference(in, static_cast<std::int32_t>(at.price_ticks));
    range_low = std::min(range_low, in.last_px);
    range_high = std::max(range_high, in.last_px);
  }
  if (to == SessionState::closed) {
    if (in.last_px != 0) {
      set_reference(in, in.last_px);
    }
    cancel_where(in, [](const Order& order) { return order.tif == TimeInForce::day; }, ExecType::expired, {});
  }
  if (to == SessionState::continuous && in.has_stops) {
    trigger_stops(in, time);
  }
}

void State::set_timer(Instrument& in, TimerKind kind, TimeNs deadline) {
  clear_timer(in);
  in.timer = kind;
  details[index_of(in)].deadline = deadline;
  timers.emplace(deadline, index_of(in));
  next_timer = timers.begin()->first;
}

void State::clear_timer(Instrument& in) {
  if (in.timer == TimerKind::none) {
    return;
  }
  in.timer = TimerKind::none;
  TimeNs& deadline = details[index_of(in)].deadline;
  timers.erase({deadline, index_of(in)});
  deadline = 0;
  next_timer = timers.empty() ? std::numeric_limits<TimeNs>::max() : timers.begin()->first;
}

// A timer acts as of its own deadline, however late the command comes that makes it fire.
void State::fire_timers() {
  while (now >= next_timer) {
    const auto [deadline, index] = *timers.begin();
    Instrument& in = instruments[index];
    begin_range();
    if (in.timer == TimerKind::limit_state) {
      set_timer(in, TimerKind::halt, deadline + config.halt_ns);
      in.state = SessionState::halted;
      report_bare(ExecType::session, 0, index, static_cast<std::int64_t>(SessionState::halted),
                  static_cast<std::int64_t>(SessionState::continuous));
    } else {
      change_state(in, SessionState::continuous, deadline);
    }
  }
}

}  // namespace exchange
