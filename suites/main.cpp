// SPDX-License-Identifier: Apache-2.0
// The program: suites register themselves, the harness does the rest.
#include "harness/cli/commands.hpp"

int main(int argc, char** argv) { return assay::harness::cli::main(argc, argv); }
