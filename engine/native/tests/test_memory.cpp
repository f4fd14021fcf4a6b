// Memory that grows by its page table, and what trim() gives back.
#include "../src/memory.hpp"

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "../src/cl_ord_ids.hpp"
#include "check.hpp"

namespace {

using namespace exchange;

constexpr unsigned kOnePage = 10;  // 1024 numbers of four bytes
using Small = GrowingArray<std::uint32_t, kOnePage>;

void fill(Small& array, std::size_t from, std::size_t end) {
  array.reach(end);
  for (std::size_t i = from; i < end; ++i) {
    array[i] = static_cast<std::uint32_t>(i + 1);
  }
}

TEST("an array that grows keeps everything, and what it gains is zero, also when it has to move") {
  std::vector<Small> arrays(8);  // in each other's way
  std::size_t before = 0;
  for (const std::size_t count : {std::size_t{1}, std::size_t{1024}, std::size_t{1025}, std::size_t{5'000}, std::size_t{700'000}}) {
    for (Small& array : arrays) {
      array.reach(count);
      CHECK(array[before] == 0 && array[count - 1] == 0);
      fill(array, before, count);
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(array[i] == i + 1);
      }
    }
    before = count;
  }
}

TEST("what is trimmed away is zero and stays usable, the rest is as it was, however often") {
  constexpr std::size_t kCount = 40'000;
  Small array;
  fill(array, 0, kCount);
  for (const std::size_t from : {std::size_t{0}, std::size_t{1'500}, std::size_t{1'500}, std::size_t{10'240}, std::size_t{39'999}}) {
    array.trim(from, kCount);
    for (std::size_t i = 0; i < from / 1024 * 1024; ++i) {
      CHECK(array[i] == 0);
    }
    for (std::size_t i = from; i < kCount; ++i) {
      CHECK(array[i] == i + 1);
    }
  }
  array[0] = 7;  // a page that was given back comes again
  CHECK(array[0] == 7 && array[1] == 0);
}

std::size_t resident_bytes() {
  std::ifstream figures("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  CHECK(static_cast<bool>(figures >> all >> resident));
  return resident * 4096;
}

TEST("trim gives back the memory of what is done, before and between what is kept") {
  constexpr std::size_t kCount = std::size_t{16} << 20U;  // 64 MiB
  GrowingArray<std::uint32_t, 26> array;
  array.reach(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    array[i] = 1;
  }
  const std::size_t full = resident_bytes();
  array[kCount - 1] = 5;
  for (std::size_t i = kCount / 2; i < kCount - 1; ++i) {
    array[i] = 0;
  }
  array.trim(kCount / 2, kCount);
  CHECK(array[kCount - 1] == 5 && array[kCount / 2] == 0 && array[0] == 0);
  CHECK(full - resident_bytes() > (std::size_t{56} << 20U));
}

TEST("cl_ord_ids of every length are found again, in the order in which they came, while the table grows under them") {
  ClOrdIds ids;
  constexpr std::uint32_t kCount = 1'200'000;  // more than half of the first table
  const auto id_of = [](std::uint32_t i) {
    std::string text = std::to_string(i);
    text.append(i % (kMaxClOrdIdLength + 1 - text.size()), '.');
    return *ClOrdId::parse(text);
  };
  for (std::uint32_t i = 0; i < kCount; ++i) {
    CHECK(ids.find(i % 7, id_of(i)) == 0);
    CHECK(ids.insert(i % 7, id_of(i), i + 1) != 0);
  }
  for (std::uint32_t i = 0; i < kCount; ++i) {
    CHECK(ids.find(i % 7, id_of(i)) == i + 1 && ids.find(i % 7 + 1, id_of(i)) == 0);
  }
  std::uint32_t next = 0;
  ids.each([&next, &id_of](const ClOrdIds::Entry& entry) {
    CHECK(entry.order_id == next + 1 && entry.firm == next % 7 && entry.text == id_of(next).view());
    ++next;
  });
  CHECK(next == kCount && ids.count() == kCount && !ids.full());
}

}  // namespace
