// The processes that train together over TensorFlow's own collective ops, as Keras's
// MultiWorkerMirroredStrategy joins them. @resbatchnorm/distributed calls the exported functions
// (its src/tensorflow/native_cluster.ts). The collectives themselves are ops like any other; here
// is what ops cannot do: start the server between the processes, and end a call that the others
// do not make.
#include "cluster.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tensorflow/c/c_api_experimental.h"
#include "tensorflow/core/protobuf/cluster.pb.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/protobuf/tensorflow_server.pb.h"
// What older versions do not have.
#if __has_include("absl/log/globals.h")
#include "absl/log/globals.h"
#endif

namespace resbatchnorm {
namespace {

using Clock = std::chrono::steady_clock;

// How long a process that lives may take to say so.
constexpr std::chrono::milliseconds kAnswer(2000);

// How often the timer looks at the time. The calls, of which a step has many, need not wake it.
constexpr std::chrono::milliseconds kTick(100);

struct Cluster {
  std::vector<std::string> addresses;
  int rank = 0;
  TFE_Context* context = nullptr;
  std::string error = "TensorFlow was not loaded with it";

  // The call that this process waits in, if any: the timer ends it at the deadline.
  std::mutex mutex;
  std::condition_variable leaving;
  std::thread timer;
  bool waiting = false;
  bool left = false;
  std::string call;
  double timeout_seconds = 0;
  Clock::time_point deadline;
};

// Never destroyed, as the timer may outlive the statics.
Cluster& TheCluster() {
  static Cluster* const cluster = new Cluster;
  return *cluster;
}

std::string TaskName(int rank) {
  return "/job:worker/replica:0/task:" + std::to_string(rank);
}

tensorflow::ConfigProto SessionConfig(const Cluster& cluster) {
  tensorflow::ConfigProto config;
  // Else each process asks all others for their devices, and waits for them.
  config.add_device_filters("/job:worker/task:" + std::to_string(cluster.rank));
  config.mutable_experimental()->set_collective_group_leader(TaskName(0));
  // Where there is no GPU, it is TensorFlow's ring over gRPC all the same.
  config.mutable_experimental()->set_collective_nccl(true);
  return config;
}

tensorflow::ServerDef Server(const Cluster& cluster) {
  tensorflow::ServerDef server;
  tensorflow::JobDef* const job = server.mutable_cluster()->add_job();
  job->set_name("worker");
  for (size_t i = 0; i < cluster.addresses.size(); ++i) {
    (*job->mutable_tasks())[i] = cluster.addresses[i];
  }
  server.set_job_name("worker");
  server.set_task_index(cluster.rank);
  server.set_protocol("grpc");
  *server.mutable_default_session_config() = SessionConfig(cluster);
  return server;
}

class Status {
 public:
  Status() : status_(TF_NewStatus()) {}
  ~Status() { TF_DeleteStatus(status_); }
  TF_Status* get() const { return status_; }
  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  std::string message() const { return TF_Message(status_); }

 private:
  TF_Status* const status_;
};

// "rank 1 (10.0.0.2:2222), rank 3 (10.0.0.4:2222)": the processes that do not answer.
std::string SilentRanks(const Cluster& cluster) {
  std::vector<char> silent(cluster.addresses.size(), false);
  std::vector<std::thread> checks;
  for (size_t i = 0; i < silent.size(); ++i) {
    if (i == static_cast<size_t>(cluster.rank)) continue;
    checks.emplace_back([&cluster, &silent, i] {
      const Status status;
      TFE_CollectiveOpsCheckPeerHealth(cluster.context, TaskName(i).c_str(), kAnswer.count(),
                                       status.get());
      silent[i] = !status.ok();
    });
  }
  for (std::thread& check : checks) check.join();
  std::ostringstream list;
  for (size_t i = 0; i < silent.size(); ++i) {
    if (!silent[i]) continue;
    list << (list.tellp() > 0 ? ", " : "") << "rank " << i << " (" << cluster.addresses[i] << ")";
  }
  return list.str();
}

// All collectives of this process fail from now on, with a message that has `why` in << >>; those
// of the others that wait for it fail with the same.
void Abort(const Cluster& cluster, const std::string& why) {
  const Status status;
  TF_SetStatus(status.get(), TF_ABORTED, ("<<" + why + ">>").c_str());
  TFE_AbortCollectiveOps(cluster.context, status.get());
}

std::string WhyLate(const Cluster& cluster) {
  const std::string silent = SilentRanks(cluster);
  if (!silent.empty()) return "no answer from " + silent;
  const int others = cluster.addresses.size() - 1;
  return others == 1 ? "rank " + std::to_string(1 - cluster.rank) + " runs, but makes no call"
                     : "all others run, but not all of them make a call";
}

void KeepTime() {
  Cluster& cluster = TheCluster();
  std::unique_lock<std::mutex> lock(cluster.mutex);
  const auto left = [&cluster] { return cluster.left; };
  while (!cluster.leaving.wait_for(lock, kTick, left)) {
    // The others are asked in time, so that the call ends at its deadline.
    if (!cluster.waiting || Clock::now() < cluster.deadline - kAnswer) continue;
    const Clock::time_point deadline = cluster.deadline;
    lock.unlock();
    const std::string reason = WhyLate(cluster);
    lock.lock();
    cluster.leaving.wait_until(lock, deadline, left);
    if (!cluster.waiting || cluster.deadline != deadline) continue;
    cluster.waiting = false;
    std::ostringstream why;
    why << "rank " << cluster.rank << ", " << cluster.call << ": " << reason << " within "
        << cluster.timeout_seconds << " s";
    lock.unlock();
    Abort(cluster, why.str());
    lock.lock();
  }
}

}  // namespace

void SetClusterConfig(TFE_ContextOptions* options) {
  const Cluster& cluster = TheCluster();
  if (cluster.addresses.empty()) return;
  const std::string config = SessionConfig(cluster).SerializeAsString();
  const Status status;
  TFE_ContextOptionsSetConfig(options, config.data(), config.size(), status.get());
}

void EnableCollectiveOps(TFE_Context* context) {
  Cluster& cluster = TheCluster();
  cluster.context = context;
  if (cluster.addresses.empty()) return;
  const std::string server = Server(cluster).SerializeAsString();
  const Status status;
#if __has_include("absl/log/globals.h")
  // It would say on stderr that it listens, whatever TF_CPP_MIN_LOG_LEVEL is.
  const absl::LogSeverityAtLeast level = absl::MinLogLevel();
  absl::SetMinLogLevel(absl::LogSeverityAtLeast::kWarning);
#endif
  TFE_EnableCollectiveOps(context, server.data(), server.size(), status.get());
#if __has_include("absl/log/globals.h")
  absl::SetMinLogLevel(level);
#endif
  cluster.error = status.message();
}

bool HasServer() { return TheCluster().error.empty(); }

}  // namespace resbatchnorm

#define RESBATCHNORM_EXPORT extern "C" __attribute__((visibility("default")))

// Strings that are returned live until the next call.
static const char* Returned(const std::string& text) {
  static std::string* const kept = new std::string;
  *kept = text;
  return kept->c_str();
}

// Says which processes there are, `host:port` of each with commas between, and which this is.
// Returns why that cannot be, or nothing: it has to be said before TensorFlow is loaded.
RESBATCHNORM_EXPORT const char* ResBatchNormConfigureCluster(const char* addresses, int32_t rank) {
  resbatchnorm::Cluster& cluster = resbatchnorm::TheCluster();
  if (cluster.context != nullptr) return "TensorFlow is loaded already";
  cluster.addresses.clear();
  std::istringstream list(addresses);
  for (std::string address; std::getline(list, address, ',');) {
    cluster.addresses.push_back(address);
  }
  cluster.rank = rank;
  return "";
}

// After TensorFlow was loaded: why this process is not in the cluster, or nothing.
RESBATCHNORM_EXPORT const char* ResBatchNormClusterError() {
  return Returned(resbatchnorm::TheCluster().error);
}

// Collective ops of this process until the next ResBatchNormEndCall may take so long together.
RESBATCHNORM_EXPORT void ResBatchNormBeginCall(const char* call, double timeout_seconds) {
  resbatchnorm::Cluster& cluster = resbatchnorm::TheCluster();
  const std::lock_guard<std::mutex> lock(cluster.mutex);
  if (!cluster.timer.joinable()) cluster.timer = std::thread(resbatchnorm::KeepTime);
  cluster.call = call;
  cluster.timeout_seconds = timeout_seconds;
  cluster.deadline =
      resbatchnorm::Clock::now() + std::chrono::microseconds(int64_t(timeout_seconds * 1e6));
  cluster.waiting = true;
}

RESBATCHNORM_EXPORT void ResBatchNormEndCall() {
  resbatchnorm::Cluster& cluster = resbatchnorm::TheCluster();
  const std::lock_guard<std::mutex> lock(cluster.mutex);
  cluster.waiting = false;
}

RESBATCHNORM_EXPORT const char* ResBatchNormSilentRanks() {
  return Returned(resbatchnorm::SilentRanks(resbatchnorm::TheCluster()));
}

RESBATCHNORM_EXPORT void ResBatchNormAbortCollectives(const char* why) {
  resbatchnorm::Abort(resbatchnorm::TheCluster(), why);
}

// Before the process ends: no thread may call TensorFlow while it goes.
RESBATCHNORM_EXPORT void ResBatchNormLeaveCluster() {
  resbatchnorm::Cluster& cluster = resbatchnorm::TheCluster();
  {
    const std::lock_guard<std::mutex> lock(cluster.mutex);
    cluster.left = true;
    cluster.leaving.notify_all();
  }
  if (cluster.timer.joinable()) cluster.timer.join();
}
