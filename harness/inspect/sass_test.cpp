// SPDX-License-Identifier: Apache-2.0
// The parser on excerpts of what cuobjdump 13.2 printed for code of nvcc 13.0 (2026-11); encodings and NOPs
// left out.
#include "harness/inspect/sass.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::harness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

/// A 16-byte copy with L1::no_allocate loads, a createpolicy cache hint where there is one, and st.global.cs.
constexpr std::string_view kStreamingCopy = R"sass(
Fatbin elf code:
================
arch = sm_75
code version = [1,8]

Resource usage:
 Common:
  GLOBAL:0

	code for sm_75
	.target	sm_75

Fatbin elf code:
================
arch = sm_75

Resource usage:
 Common:
  GLOBAL:0
 Function _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i:
  REG:14 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:372 TEXTURE:0 SURFACE:0 SAMPLER:0

	code for sm_75
	.target	sm_75

		Function : _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i
	.headerflags	@"EF_CUDA_SM75 EF_CUDA_VIRTUAL_SM(EF_CUDA_SM75)"
        /*0000*/                   MOV R1, c[0x0][0x28] ;                    /* 0x00000a0000017a02 */
                                                                             /* 0x000fe40000000f00 */
        /*0050*/               @P0 EXIT ;
        /*0080*/                   LDG.E.NA.128.CONSTANT.SYS R8, [R2] ;
        /*00a0*/                   STG.E.EF.128.SYS [R4], R8 ;
        /*00d0*/                   NOP;
		..........

Resource usage:
 Function _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i:
  REG:15 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:372 TEXTURE:0 SURFACE:0 SAMPLER:0

	code for sm_80
		Function : _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i
        /*0060*/                   HFMA2.MMA R5, -RZ, RZ, 0, 9.5367431640625e-07 ;
        /*0070*/                   UMOV UR4, 0x0 ;
        /*0080*/                   UMOV UR5, 0x12f00000 ;
        /*00a0*/                   LDG.E.NA.128.CONSTANT R8, desc[UR4][R2.64] ;
        /*00c0*/                   ULDC.64 UR4, c[0x0][0x118] ;
        /*00d0*/                   STG.E.EF.128 [R4.64], R8 ;

Resource usage:
 Function _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i:
  REG:16 STACK:8 SHARED:1024 LOCAL:16 CONSTANT[0]:548 TEXTURE:0 SURFACE:0 SAMPLER:0

	code for sm_90a
		Function : _ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i
        /*00b0*/                   UMOV UR5, 0x120 ;
        /*00e0*/                   UMOV UR4, URZ ;
        /*0110*/              @!P1 LDG.E.NA.128.CONSTANT R8, desc[UR4][R2.64] ;
        /*0120*/                   ULDC.64 UR4, c[0x0][0x208] ;
        /*0140*/                   STG.E.EF.128 desc[UR4][R4.64], R8 ;
)sass";

std::string one_kernel(const std::string& arch, const std::string& instructions) {
  return " Function k:\n  REG:8 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:0\n\tcode for " + arch +
         "\n\t\tFunction : k\n" + instructions;
}

KernelCode only_kernel(const std::string& arch, const std::string& instructions) {
  const auto code = parse_code(one_kernel(arch, instructions));
  EXPECT_EQ(code.size(), 1u);
  return code.at(0);
}

TEST(ParseCode, one_kernel_for_three_architectures_is_three_entries_in_order) {
  const auto code = parse_code(kStreamingCopy);
  ASSERT_EQ(code.size(), 3u);
  EXPECT_EQ(code[0].arch, "sm_75");
  EXPECT_EQ(code[1].arch, "sm_80");
  EXPECT_EQ(code[2].arch, "sm_90a");
  for (const KernelCode& kernel : code) {
    EXPECT_EQ(kernel.kernel, "demo::copy_kernel<1>");
    EXPECT_EQ(kernel.symbol, "_ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i");
    EXPECT_EQ(kernel.widest_global_load(), 16);
    EXPECT_EQ(kernel.widest_global_store(), 16);
    EXPECT_THAT(kernel.matrix_instructions, IsEmpty()) << "HFMA2.MMA is no matrix instruction";
  }
}

TEST(ParseCode, resources_are_those_of_their_own_architecture) {
  const auto code = parse_code(kStreamingCopy);
  EXPECT_EQ(code[0].registers, 14);
  EXPECT_EQ(code[1].registers, 15);
  EXPECT_EQ(code[2].registers, 16);
  EXPECT_EQ(code[2].stack_bytes, 24);
  EXPECT_EQ(code[2].shared_bytes, 1024);
  EXPECT_TRUE(code[0].no_local_memory());
  EXPECT_FALSE(code[2].no_local_memory());
  EXPECT_EQ(code[0].instructions, 4) << "padding does not count";
}

TEST(ParseCode, cache_policy_is_told_from_the_default_descriptor) {
  const auto code = parse_code(kStreamingCopy);
  EXPECT_THAT(code[0].cache_hints,
              ElementsAre(Pair("LDG.CONSTANT", 1), Pair("LDG.NA", 1), Pair("STG.EF", 1)));
  for (int i : {1, 2}) {
    EXPECT_THAT(code[i].cache_hints, ElementsAre(Pair("LDG.CONSTANT", 1), Pair("LDG.L2POLICY", 1),
                                                 Pair("LDG.NA", 1), Pair("STG.EF", 1)));
  }
}

TEST(ParseCode, policy_given_as_a_kernel_parameter_is_one_and_a_copied_default_is_none) {
  const auto kernel = only_kernel("sm_100", R"(
        /*0000*/                   LDC.64 R2, c[0x0][0x358] ;
        /*0010*/                   R2UR UR6, R2 ;
        /*0020*/                   R2UR UR7, R3 ;
        /*0030*/                   LDCU.128 UR8, c[0x0][0x350] ;
        /*0040*/                   LDCU.64 UR4, c[0x0][0x390] ;
        /*0050*/                   LDG.E R7, desc[UR4][R2.64] ;
        /*0060*/                   LDG.E R8, desc[UR6][R2.64] ;
        /*0070*/                   LDG.E R9, desc[UR10][R2.64] ;
)");
  EXPECT_THAT(kernel.cache_hints, ElementsAre(Pair("LDG.L2POLICY", 1)));
}

TEST(ParseCode, widths_and_level_two_hints_of_newer_architectures_are_known) {
  const auto kernel = only_kernel("sm_100", R"(
        /*0020*/                   LDCU.64 UR4, c[0x0][0x358] ;
        /*0030*/                   LDG.E.EL.EFL2.256 R16, R12, desc[UR4][R2.64] ;
        /*0070*/                   STG.E.ELL2.256 desc[UR4][R4.64], R12, R16 ;
        /*0080*/                   LDG.E.U8 R7, desc[UR4][R6.64+0x18c] ;
        /*0090*/                   STG.E.U16 desc[UR4][R8.64+0x134], R7 ;
        /*00a0*/                   LDGSTS.E.BYPASS.64 [R7], desc[UR4][R2.64] ;
        /*00b0*/                   LDG.E.LTC128B R7, desc[UR4][R6.64] ;
)");
  EXPECT_THAT(kernel.global_loads, ElementsAre(Pair(1, 1), Pair(4, 1), Pair(8, 1), Pair(32, 1)));
  EXPECT_THAT(kernel.global_stores, ElementsAre(Pair(2, 1), Pair(32, 1)));
  EXPECT_THAT(kernel.cache_hints, ElementsAre(Pair("LDG.EFL2", 1), Pair("LDG.EL", 1), Pair("LDG.LTC128B", 1),
                                              Pair("STG.ELL2", 1)));
}

TEST(ParseCode, local_memory_matrix_and_copy_engine_instructions_are_counted) {
  const auto kernel = only_kernel("sm_90a", R"(
        /*0000*/                   STL.128 [R1], R8 ;
        /*0010*/                   LDL R8, [R1] ;
        /*0020*/                   LDL.64 R8, [R1+0x8] ;
        /*0030*/                   FFMA R1, R2, R3, R4 ;
        /*0040*/                   HGMMA.64x128x16.F32 R24, gdesc[UR4], R24, gsb0 ;
        /*0050*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
        /*0060*/                   UBLKCP.G.S [UR4], [UR6], UR7 ;
        /*0070*/                   UTMALDG.2D [UR8], [UR4] ;
)");
  EXPECT_EQ(kernel.local_stores, 1);
  EXPECT_EQ(kernel.local_loads, 2);
  EXPECT_EQ(kernel.fused_multiply_adds, 1);
  EXPECT_EQ(kernel.bulk_copies, 2);
  EXPECT_THAT(kernel.matrix_instructions,
              ElementsAre(Pair("HGMMA.64x128x16.F32", 1), Pair("HMMA.16816.F32.BF16", 1)));
  EXPECT_EQ(kernel.widest_global_load(), 0);
}

TEST(ParseCode, text_in_another_form_is_refused) {
  EXPECT_THROW(parse_code("\t\tFunction : k\n"), std::runtime_error) << "code without resource usage";
  EXPECT_THROW(parse_code(" Function k:\n  REG:8 STACK:0 SHARED:0 LOCAL:0\n"), std::runtime_error)
      << "no code";
  EXPECT_THROW(parse_code(" Function k:\n  REG:many STACK:0\n"), std::runtime_error) << "no number";
  EXPECT_THROW(parse_code("        /*0000*/  EXIT ;\n"), std::runtime_error)
      << "instruction outside a kernel";
  EXPECT_THAT(parse_code(""), IsEmpty());
}

TEST(ParseTargets, lists_each_architecture_once_machine_code_and_ptx_apart) {
  const CodeTargets targets = parse_targets(
      "ELF file    1: t.1.sm_75.cubin\nELF file    2: t.2.sm_90a.cubin\nELF file    3: t.3.sm_75.cubin\n"
      "PTX file    1: t.1.sm_100.ptx\ncuobjdump info    : No PTX file found to extract from 'x'.\n");
  EXPECT_THAT(targets.sass, ElementsAre("sm_75", "sm_90a"));
  EXPECT_THAT(targets.ptx, ElementsAre("sm_100"));
}

TEST(KernelName, loses_return_type_and_parameters_only) {
  EXPECT_EQ(kernel_name("_ZN4demo11copy_kernelILi1EEEvPK5uint4PS1_i"), "demo::copy_kernel<1>");
  EXPECT_EQ(kernel_name("_Z1kPFviE"), "k") << "a parameter list that itself holds parentheses";
  EXPECT_EQ(kernel_name("_ZN12_GLOBAL__N_16kernelEv"), "(anonymous namespace)::kernel");
  EXPECT_EQ(kernel_name("triton_kernel"), "triton_kernel");
}

}  // namespace
}  // namespace assay::harness
