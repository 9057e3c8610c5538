# Every header compiles alone, and twice: for each one a source file that does nothing but include it.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     ${PROJECT_SOURCE_DIR}/kernels/*.hpp ${PROJECT_SOURCE_DIR}/reference/*.hpp
     ${PROJECT_SOURCE_DIR}/harness/*.hpp ${PROJECT_SOURCE_DIR}/suites/*.hpp)
# Highway's -inl.hpp headers are parts of one source, compiled once an instruction set.
list(FILTER headers EXCLUDE REGEX "-inl\\.hpp$")
if(NOT ASSAY_TORCH)
  list(FILTER headers EXCLUDE REGEX
       "^(kernels/torch|kernels/backprop/autograd|kernels/compile/eager|kernels/fsdp/group|kernels/fsdp/nccl|kernels/fsdp/engine|kernels/fsdp/pipeline|reference/backprop/eager|reference/compile/eager|reference/attention/eager|reference/llama|suites/backprop|suites/compile|suites/conformance|suites/fsdp/rank)/")
endif()

set(sources)
foreach(header ${headers})
  set(source ${PROJECT_BINARY_DIR}/header_tests/${header}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"@header@\"\n#include \"@header@\"\n" @ONLY)
  list(APPEND sources ${source})
endforeach()

add_library(assay_header_tests OBJECT ${sources})
target_link_libraries(assay_header_tests PRIVATE
  assay_flags CUDA::cudart hwy::hwy fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11 benchmark::benchmark Eigen3::Eigen)
target_compile_options(assay_header_tests PRIVATE -O0)
if(ASSAY_TORCH)
  target_link_libraries(assay_header_tests PRIVATE torch::torch_cuda)
endif()
