# One INTERFACE target holds every compile flag; every room links it.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CUDA_STANDARD 20)
# CMake 3.25 (Debian 12) does not know nvcc's flag for C++20; 3.26 and later do.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

option(ASSAY_WERROR "Warnings are errors (pinned compiler: GCC 12)" ON)
add_library(assay_flags INTERFACE)
target_include_directories(assay_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_compile_options(assay_flags INTERFACE
  # -ffp-contract=off: the oracle and the CPU kernels promise separately rounded steps; GCC would fuse them.
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra $<$<BOOL:${ASSAY_WERROR}>:-Werror> -ffp-contract=off>
  # --compress-mode=size: a sixth of the default's bytes (softmax_pass.cu 9.2 MB to 1.6), and every program carries them.
  $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo --compress-mode=size -Xcompiler=-Wall,-Wextra,-ffp-contract=off --expt-relaxed-constexpr>)
if(ASSAY_SANITIZE)
  target_compile_options(assay_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(assay_flags INTERFACE -fsanitize=${ASSAY_SANITIZE})
  target_compile_definitions(assay_flags INTERFACE ASSAY_SANITIZED=1)
endif()
