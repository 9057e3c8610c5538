// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/launch/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Variables = std::map<std::string, std::string>;

RankIdentity identity(const Variables& variables) {
  return identity_from([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "node0"},
                             {"MASTER_PORT", "29500"},
                             {"TORCHELASTIC_RUN_ID", "abc"},
                             {"TORCHELASTIC_RESTART_COUNT", "2"}};

TEST(RankIdentity, a_process_nobody_launched_is_alone) {
  const RankIdentity alone = identity({});
  EXPECT_EQ(alone.rank, 0);
  EXPECT_EQ(alone.world, 1);
  EXPECT_EQ(alone.launcher, "none");
}

TEST(RankIdentity, torchruns_variables_are_read_and_go_before_slurms) {
  Variables variables = kTorchrun;
  variables["SLURM_PROCID"] = "0";
  variables["SLURM_NTASKS"] = "2";
  const RankIdentity found = identity(variables);
  EXPECT_EQ(found.launcher, "torchrun");
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.world, 8);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_world, 4);
  EXPECT_EQ(found.host, "node0");
  EXPECT_EQ(found.port, 29500);
  EXPECT_EQ(found.run, "abc/2") << "a restart must not meet the keys of the attempt before";
  EXPECT_FALSE(found.store_is_up);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_TRUE(identity(variables).store_is_up);
}

TEST(RankIdentity, slurms_first_host_and_a_port_of_the_job) {
  const RankIdentity found = identity({{"SLURM_PROCID", "3"},
                                       {"SLURM_NTASKS", "4"},
                                       {"SLURM_LOCALID", "1"},
                                       {"SLURM_NTASKS_PER_NODE", "2"},
                                       {"SLURM_NODELIST", "gpu[003-004]"},
                                       {"SLURM_JOB_ID", "40123"}});
  EXPECT_EQ(found.launcher, "slurm");
  EXPECT_EQ(found.host, "gpu003");
  EXPECT_EQ(found.port, 15123);
  EXPECT_EQ(found.local_rank, 1);
}

TEST(RankIdentity, mpi_variables_are_read) {
  const RankIdentity open = identity({{"OMPI_COMM_WORLD_RANK", "1"},
                                      {"OMPI_COMM_WORLD_SIZE", "2"},
                                      {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                      {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                      {"MASTER_PORT", "29501"}});
  EXPECT_EQ(open.launcher, "openmpi");
  EXPECT_EQ(open.host, "127.0.0.1") << "all ranks are on this machine";
  const RankIdentity pmi =
      identity({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}});
  EXPECT_EQ(pmi.launcher, "pmi");
  EXPECT_EQ(pmi.host, "a");
}

TEST(RankIdentity, what_is_missing_or_wrong_is_named) {
  const auto with = [](const char* name, const char* value) {
    return [=] {
      Variables variables = kTorchrun;
      if (value == nullptr)
        variables.erase(name);
      else
        variables[name] = value;
      identity(variables);
    };
  };
  using Error = std::invalid_argument;
  EXPECT_THAT(with("WORLD_SIZE", nullptr), ThrowsMessage<Error>(HasSubstr("WORLD_SIZE: expected a number")));
  EXPECT_THAT(with("RANK", "8"), ThrowsMessage<Error>(HasSubstr("a rank below WORLD_SIZE 8, found 8")));
  EXPECT_THAT(with("RANK", "-1"), ThrowsMessage<Error>(HasSubstr("found '-1'")));
  EXPECT_THAT(with("RANK", "one"), ThrowsMessage<Error>(HasSubstr("found 'one'")));
  EXPECT_THAT(with("MASTER_ADDR", nullptr),
              ThrowsMessage<Error>(HasSubstr("MASTER_ADDR: expected rank 0's host")));
  EXPECT_THAT(with("MASTER_PORT", "70000"), ThrowsMessage<Error>(HasSubstr("1 to 65535, found 70000")));
}

TEST(RankIdentity, the_first_host_of_slurms_lists) {
  EXPECT_EQ(first_host("a"), "a");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("n[003-005,9],m1"), "n003");
  EXPECT_EQ(first_host("n[7,9]"), "n7");
  EXPECT_EQ(first_host("n[1-2].cluster,m"), "n1.cluster");
  EXPECT_EQ(first_host("b,n[1-2]"), "b");
  for (const char* wrong : {"", ",a", "n[", "n[]", "n[1"})
    EXPECT_THROW(first_host(wrong), std::invalid_argument) << wrong;
}

}  // namespace
}  // namespace assay::kernels::fsdp
