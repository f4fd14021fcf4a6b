// Threads of the data plane: no signals, a name, and a CPU of their own where that is asked for and possible.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace exchange {

// The CPUs this process may use, ascending; empty where the system does not tell.
[[nodiscard]] std::vector<int> allowed_cpus();

// One CPU for each of `threads`, or -1 for each when not `wanted` or when there are not more CPUs than threads: two
// busy threads on one CPU would be worse than none pinned.
[[nodiscard]] std::vector<int> cpus_for(std::size_t threads, bool wanted);

// Starts `body` under `name` (15 characters are shown) on `cpu` (-1: anywhere). Signals belong to the program's own
// threads. A CPU that cannot be had is no error. Throws std::system_error.
[[nodiscard]] std::thread start_thread(const std::string& name, int cpu, std::function<void()> body);

}  // namespace exchange
