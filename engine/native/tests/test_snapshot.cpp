#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "../src/snapshot_file.hpp"
#include "check.hpp"
#include "exchange/snapshot.hpp"
#include "flow_support.hpp"

namespace {

using namespace exchange;
namespace fs = std::filesystem;

constexpr SnapshotMark kMark{3, 4711, 0xABCDEF01};

Engine engine_after(std::size_t commands, std::uint64_t seed = 1) {
  Engine engine(support::flow_config());
  for (const Command& command : support::flow(seed, commands)) {
    (void)engine.apply(command);
  }
  return engine;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Why the file is refused; empty when it loads.
std::string refusal(const std::string& path) {
  Engine engine(support::flow_config());
  try {
    (void)load_snapshot(path, engine);
  } catch (const SnapshotError& error) {
    CHECK(std::string(error.what()).starts_with(path));
    return error.what();
  }
  return {};
}

TEST("a snapshot loads as the same state, with everything its header tells") {
  const support::TempDir dir;
  const Engine engine = engine_after(500);
  const SnapshotInfo made = write_snapshot(dir.path(), engine, kMark);
  CHECK(made.path == dir.path() + "/snapshots/00000000000000000500.snap");
  Engine loaded(support::flow_config());
  std::vector<std::string> warnings;
  const auto info = load_newest_snapshot(dir.path(), support::flow_config(), loaded, warnings);
  CHECK(info && warnings.empty());
  CHECK(info->seq_num == 500 && info->epoch == 3 && info->ts_ns == 4711 && info->record_crc == 0xABCDEF01);
  CHECK(info->state_hash == engine.state_hash() && loaded.state_hash() == engine.state_hash());
}

TEST("an engine that was loaded answers every later command as the one that was saved") {
  const support::TempDir dir;
  const std::vector<Command> flow = support::flow(5, 900);
  Engine engine = engine_after(600, 5);
  Engine loaded(support::flow_config());
  (void)load_snapshot(write_snapshot(dir.path(), engine, kMark).path, loaded);
  for (std::size_t i = 600; i < flow.size(); ++i) {
    const auto expected = engine.apply(flow[i]);
    const std::vector<Report> kept(expected.begin(), expected.end());
    const auto got = loaded.apply(flow[i]);
    CHECK(std::equal(kept.begin(), kept.end(), got.begin(), got.end(),
                     [](const Report& a, const Report& b) { return a.exec_id == b.exec_id && a.order_id == b.order_id && a.leaves_qty == b.leaves_qty; }));
    CHECK(engine.state_hash() == loaded.state_hash());
  }
}

TEST("a wrong byte anywhere in a snapshot is noticed") {
  const support::TempDir dir;
  const std::string path = write_snapshot(dir.path(), engine_after(120), kMark).path;
  const std::string good = bytes_of(path);
  CHECK(refusal(path).empty());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    put_bytes(path, bad);
    CHECK(!refusal(path).empty());
  }
}

TEST("a snapshot cut off at any byte, or with a byte too many, is noticed") {
  const support::TempDir dir;
  const std::string path = write_snapshot(dir.path(), engine_after(60), kMark).path;
  const std::string good = bytes_of(path);
  for (std::size_t size = 0; size < good.size(); size += 7) {
    put_bytes(path, good.substr(0, size));
    CHECK(!refusal(path).empty());
  }
  put_bytes(path, good + '\0');
  CHECK(refusal(path).find("bytes, its header promises") != std::string::npos);
}

TEST("a damaged snapshot is left out with its name and reason, and the one before it is taken") {
  const support::TempDir dir;
  (void)write_snapshot(dir.path(), engine_after(100), kMark);
  const std::string newest = write_snapshot(dir.path(), engine_after(200), kMark).path;
  std::string bytes = bytes_of(newest);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 4);
  put_bytes(newest, bytes);
  Engine engine(support::flow_config());
  std::vector<std::string> warnings;
  const auto info = load_newest_snapshot(dir.path(), support::flow_config(), engine, warnings);
  CHECK(info && info->seq_num == 100 && engine.state_hash() == engine_after(100).state_hash());
  CHECK(warnings.size() == 1 && warnings[0].starts_with(newest) && warnings[0].find("the block is damaged (CRC)") != std::string::npos);
}

TEST("without a good snapshot the engine is fresh again and nothing is loaded") {
  const support::TempDir dir;
  std::vector<std::string> warnings;
  Engine engine(support::flow_config());
  CHECK(!load_newest_snapshot(dir.path(), support::flow_config(), engine, warnings) && warnings.empty());
  const std::string path = write_snapshot(dir.path(), engine_after(300), kMark).path;
  put_bytes(path, bytes_of(path).substr(0, 5000));
  CHECK(!load_newest_snapshot(dir.path(), support::flow_config(), engine, warnings) && warnings.size() == 1);
  CHECK(engine.state_hash() == Engine(support::flow_config()).state_hash());
}

TEST("a snapshot of other instruments or limits is left out") {
  const support::TempDir dir;
  const std::string path = write_snapshot(dir.path(), engine_after(50), kMark).path;
  EngineConfig other = support::flow_config();
  other.instruments[0].max_qty = 7;
  Engine engine(other);
  try {
    (void)load_snapshot(path, engine);
    CHECK(false);
  } catch (const SnapshotError& error) {
    CHECK(std::string(error.what()).find("other instruments or limits") != std::string::npos);
  }
}

TEST("a snapshot under another's name is left out") {
  const support::TempDir dir;
  const std::string path = write_snapshot(dir.path(), engine_after(50), kMark).path;
  const std::string renamed = snapshot_folder(dir.path()) + "/00000000000000000099.snap";
  fs::rename(path, renamed);
  CHECK(refusal(renamed).find("not the one that its name says") != std::string::npos);
}

TEST("a limit in seq_num or time picks the newest snapshot before it") {
  const support::TempDir dir;
  for (const std::size_t count : {100U, 200U, 300U}) {
    (void)write_snapshot(dir.path(), engine_after(count), {1, static_cast<TimeNs>(count * 10), 5});
  }
  const auto picked = [&dir](const SnapshotLimit& limit) {
    Engine engine(support::flow_config());
    std::vector<std::string> warnings;
    const auto info = load_newest_snapshot(dir.path(), support::flow_config(), engine, warnings, limit);
    return info ? info->seq_num : 0;
  };
  CHECK(picked({.seq_num = 299}) == 200 && picked({.seq_num = 300}) == 300 && picked({.seq_num = 99}) == 0);
  CHECK(picked({.ts_ns = 1999}) == 100 && picked({.ts_ns = 2000}) == 200);
}

TEST("only the newest are kept, damaged ones not counted, and leftovers of a crash go") {
  const support::TempDir dir;
  for (const std::size_t count : {10U, 20U, 30U, 40U}) {
    (void)write_snapshot(dir.path(), engine_after(count), kMark);
  }
  CHECK(list_snapshots(dir.path()).size() == 3);
  put_bytes(list_snapshots(dir.path())[0], "damaged");
  put_bytes(snapshot_folder(dir.path()) + "/00000000000000000045.snap.tmp", "half");
  (void)write_snapshot(dir.path(), engine_after(50), kMark);
  const auto paths = list_snapshots(dir.path());
  CHECK(paths.size() == 4 && paths[3].ends_with("00000000000000000020.snap"));
  CHECK(!fs::exists(snapshot_folder(dir.path()) + "/00000000000000000045.snap.tmp"));
}

EngineConfig large_config() {
  EngineConfig config = support::flow_config();
  config.max_live_orders = 100'000;
  return config;
}

// Several blocks in a file.
Engine large_engine() {
  Engine engine(large_config());
  for (std::uint64_t i = 0; i < 60'000; ++i) {
    Command command = support::new_order(Side::buy, static_cast<Price>(1 + i % 5000), 1 + static_cast<Qty>(i % 9));
    command.cl_ord_id = *ClOrdId::parse("a long client order id " + std::to_string(i));
    (void)engine.apply(command);
  }
  return engine;
}

TEST("a state of many blocks goes through the file whole") {
  const support::TempDir dir;
  const Engine engine = large_engine();
  const std::string path = write_snapshot(dir.path(), engine, kMark).path;
  CHECK(fs::file_size(path) > std::uintmax_t{3} << 20U);
  Engine loaded(large_config());
  CHECK(load_snapshot(path, loaded).state_hash == engine.state_hash() && loaded.live_orders() == 60'000);
}

TEST("after a load that failed half way the older snapshot goes into a fresh engine") {
  const support::TempDir dir;
  Engine engine = large_engine();
  const std::uint64_t older = engine.state_hash();
  (void)write_snapshot(dir.path(), engine, kMark);
  (void)engine.apply(support::new_order(Side::buy, 7, 7));
  const std::string newest = write_snapshot(dir.path(), engine, kMark).path;
  std::string bytes = bytes_of(newest);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 4);
  put_bytes(newest, bytes);
  Engine loaded(large_config());
  std::vector<std::string> warnings;
  const auto info = load_newest_snapshot(dir.path(), large_config(), loaded, warnings);
  CHECK(info && info->seq_num == 60'000 && warnings.size() == 1 && loaded.state_hash() == older);
}

TEST("blocks that were exchanged are noticed, though each of them is good") {
  const support::TempDir dir;
  const std::string path = dir.path() + "/file";
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    SnapshotWriter writer(path, fd.get());
    writer.put(std::vector<std::uint8_t>(kSnapshotBlock, 1));
    writer.put(std::vector<std::uint8_t>(kSnapshotBlock, 2));
    writer.finish({});
  }
  const auto read_all = [&path] {
    SnapshotReader reader(path);
    std::vector<std::uint8_t> to(3 * kSnapshotBlock);
    CHECK(reader.get(to) == 2 * kSnapshotBlock);
    reader.check_end();
  };
  read_all();
  const std::string bytes = bytes_of(path);
  constexpr std::size_t kWhole = kSnapshotBlockHeader + kSnapshotBlock;
  put_bytes(path, bytes.substr(0, kSnapshotHeaderSize) + bytes.substr(kSnapshotHeaderSize + kWhole) + bytes.substr(kSnapshotHeaderSize, kWhole));
  bool refused = false;
  try {
    read_all();
  } catch (const SnapshotError& error) {
    refused = std::string(error.what()).find("not the ones that the header promises") != std::string::npos;
  }
  CHECK(refused);
}

TEST("a snapshot folder that cannot be made is an error that names it") {
  const support::TempDir dir;
  put_bytes(dir.path() + "/snapshots", "a file");
  try {
    (void)write_snapshot(dir.path(), engine_after(5), kMark);
    CHECK(false);
  } catch (const SnapshotError& error) {
    CHECK(std::string(error.what()).starts_with(dir.path() + "/snapshots"));
  }
}

}  // namespace
