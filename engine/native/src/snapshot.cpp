#include "exchange/snapshot.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "snapshot_file.hpp"

namespace exchange {

namespace {

constexpr std::string_view kSuffix = ".snap";
constexpr std::string_view kUnfinished = ".snap.tmp";
constexpr std::size_t kDigits = 20;

bool is_snapshot_name(const std::string& name) noexcept {
  return name.size() == kDigits + kSuffix.size() && name.ends_with(kSuffix) &&
         std::all_of(name.begin(), name.begin() + kDigits, [](char digit) { return digit >= '0' && digit <= '9'; });
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  try {
    if (std::filesystem::exists(folder)) {
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        names.push_back(entry.path().filename().string());
      }
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw SnapshotError(folder + ": the folder cannot be read: " + error.code().message());
  }
  return names;
}

SnapshotInfo info_of(const SnapshotHeader& header, const std::string& path) {
  return {header.seq_num, header.epoch, header.ts_ns, header.record_crc, header.state_hash, path};
}

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

// Held while one process writes; the leftovers of one that died are its successor's to remove.
UniqueFd take_lock(const std::string& log_dir) {
  const std::string folder = snapshot_folder(log_dir);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw SnapshotError(folder + ": the folder cannot be made: " + error_text(errno));
  }
  UniqueFd file(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) {
    throw SnapshotError(folder + "/lock: cannot be opened: " + error_text(errno));
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw SnapshotError(folder + ": another process writes a snapshot there now");
  }
  return file;
}

void remove_leftovers(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    if (name.ends_with(kUnfinished)) {
      std::error_code ignored;
      std::filesystem::remove(std::filesystem::path(folder) / name, ignored);
    }
  }
}

// Damaged files do not count among the ones kept, so that they never push out a good one.
void remove_old(const std::string& log_dir, std::size_t keep) {
  std::size_t readable = 0;
  for (const std::string& path : list_snapshots(log_dir)) {
    if (readable >= keep) {
      ::unlink(path.c_str());
      continue;
    }
    try {
      (void)read_snapshot_header(path);
      ++readable;
    } catch (const SnapshotError&) {
      continue;
    }
  }
}

void write_file(const std::string& path, int fd, const Engine& engine, const SnapshotMark& mark) {
  SnapshotWriter writer(path, fd);
  engine.save([&writer](std::span<const std::uint8_t> bytes) { writer.put(bytes); });
  SnapshotHeader header;
  header.config_digest = engine.config_digest();
  header.seq_num = engine.last_seq_num();
  header.epoch = mark.epoch;
  header.ts_ns = mark.ts_ns;
  header.record_crc = mark.record_crc;
  header.state_hash = engine.state_hash();
  writer.finish(header);
  if (::fsync(fd) != 0) {
    throw SnapshotError(path + ": cannot be synced: " + error_text(errno));
  }
}

}  // namespace

std::string snapshot_folder(const std::string& log_dir) { return log_dir + "/snapshots"; }

std::string snapshot_path(const std::string& log_dir, SeqNum seq_num) {
  std::array<char, kDigits + 1> name{};
  std::snprintf(name.data(), name.size(), "%020llu", static_cast<unsigned long long>(seq_num));
  return snapshot_folder(log_dir) + "/" + name.data() + std::string(kSuffix);
}

std::vector<std::string> list_snapshots(const std::string& log_dir) {
  std::vector<std::string> found;
  const std::string folder = snapshot_folder(log_dir);
  for (const std::string& name : names_in(folder)) {
    if (is_snapshot_name(name)) {
      found.push_back((std::filesystem::path(folder) / name).string());
    }
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  return found;
}

SnapshotInfo read_snapshot_header(const std::string& path) {
  const SnapshotReader reader(path);
  SnapshotInfo info = info_of(reader.header(), path);
  const std::string name = std::filesystem::path(path).filename().string();
  if (is_snapshot_name(name) && std::filesystem::path(snapshot_path("", info.seq_num)).filename() != name) {
    throw SnapshotError(path + ": it holds seq_num " + std::to_string(info.seq_num) + ", not the one that its name says");
  }
  return info;
}

SnapshotInfo check_snapshot(const std::string& path) {
  SnapshotInfo info = read_snapshot_header(path);
  SnapshotReader reader(path);
  std::vector<std::uint8_t> part(kSnapshotBlock);
  while (reader.get(part) == part.size()) {
  }
  reader.check_end();
  return info;
}

SnapshotInfo load_snapshot(const std::string& path, Engine& engine) {
  SnapshotInfo info = read_snapshot_header(path);
  SnapshotReader reader(path);
  if (reader.header().config_digest != engine.config_digest()) {
    throw SnapshotError(path + ": it was made under other instruments or limits");
  }
  try {
    engine.load([&reader](std::span<std::uint8_t> to) { return reader.get(to); });
    reader.check_end();
  } catch (const SnapshotError&) {
    throw;
  } catch (const std::exception& error) {
    throw SnapshotError(path + ": the state in it cannot be loaded: " + error.what());
  }
  if (engine.last_seq_num() != info.seq_num) {
    throw SnapshotError(path + ": it loads as seq_num " + std::to_string(engine.last_seq_num()) + ", its header says " +
                        std::to_string(info.seq_num));
  }
  if (const std::uint64_t hash = engine.state_hash(); hash != info.state_hash) {
    throw SnapshotError(path + ": it loads with state hash " + hex(hash) + ", its header says " + hex(info.state_hash));
  }
  return info;
}

std::optional<SnapshotInfo> load_newest_snapshot(const std::string& log_dir, const EngineConfig& config, Engine& engine,
                                                 std::vector<std::string>& warnings, const SnapshotLimit& limit) {
  std::vector<std::string> paths;
  try {
    paths = list_snapshots(log_dir);
  } catch (const SnapshotError& error) {
    warnings.push_back(std::string(error.what()) + "; replaying from the start");
    return std::nullopt;
  }
  for (const std::string& path : paths) {
    try {
      if (const SnapshotInfo info = read_snapshot_header(path); info.seq_num > limit.seq_num || info.ts_ns > limit.ts_ns) {
        continue;
      }
      return load_snapshot(path, engine);
    } catch (const SnapshotError& error) {
      warnings.push_back(std::string(error.what()) + "; left out, remove the file and make a new snapshot (exchange snapshot)");
    }
    engine = Engine(config);  // the load may have come half way
  }
  return std::nullopt;
}

SnapshotInfo write_snapshot(const std::string& log_dir, const Engine& engine, const SnapshotMark& mark, std::size_t keep) {
  const UniqueFd lock = take_lock(log_dir);
  const std::string folder = snapshot_folder(log_dir);
  remove_leftovers(folder);
  const std::string path = snapshot_path(log_dir, engine.last_seq_num());
  const std::string unfinished = path + ".tmp";
  UniqueFd file(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) {
    throw SnapshotError(unfinished + ": cannot be made: " + error_text(errno));
  }
  try {
    write_file(unfinished, file.get(), engine, mark);
    if (::rename(unfinished.c_str(), path.c_str()) != 0) {
      throw SnapshotError(path + ": cannot be given its name: " + error_text(errno));
    }
  } catch (...) {
    ::unlink(unfinished.c_str());
    throw;
  }
  if (const int error = sync_directory(folder); error != 0) {
    throw SnapshotError(folder + ": cannot be synced: " + error_text(error));
  }
  if (const int error = sync_directory(log_dir); error != 0) {
    throw SnapshotError(log_dir + ": cannot be synced: " + error_text(error));
  }
  remove_old(log_dir, std::max<std::size_t>(keep, 1));
  return read_snapshot_header(path);
}

}  // namespace exchange
