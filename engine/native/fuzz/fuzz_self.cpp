// No fuzz target: it dies of inputs that ask for it, so that a test sees what the driver does then. 'A': by abort();
// 'B': by reading behind the input, which only a sanitizer notices.
#include <cstddef>
#include <cstdint>

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  CHECK(size == 0 || data[0] != 'A');
  if (size > 0 && data[0] == 'B') {
    const volatile std::uint8_t* const bytes = data;
    return bytes[size] == 0 ? 0 : 0;
  }
  return 0;
}
