# What `cmake --install` leaves: the kernels as a package (find_package(assay), assay::kernels, assay::attention,
# assay::compile_device, assay::compile_training), torch.ops.assay, the programs. Our warning and sanitizer flags stay here:
# rooms link assay_flags for the build only.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(_assay_package ${CMAKE_INSTALL_LIBDIR}/cmake/assay)

# Headers include each other from the repository root, which is include/assay once installed.
target_include_directories(assay_kernels INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/assay> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(assay_kernels INTERFACE cxx_std_20)
set_target_properties(assay_kernels PROPERTIES EXPORT_NAME kernels)
set_target_properties(assay_attention PROPERTIES EXPORT_NAME attention)
set_target_properties(assay_compile_device PROPERTIES EXPORT_NAME compile_device)
set_target_properties(assay_compile_checkpoint PROPERTIES EXPORT_NAME compile_checkpoint)
set_target_properties(assay_compile_training PROPERTIES EXPORT_NAME compile_training)
install(TARGETS assay_kernels assay_attention assay_compile_device assay_compile_checkpoint assay_compile_training
        EXPORT assayTargets ARCHIVE)
install(DIRECTORY kernels/common kernels/nf4 kernels/backprop kernels/compile kernels/llama kernels/attention
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/assay/kernels
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*-inl.hpp" EXCLUDE PATTERN "*_test.hpp" EXCLUDE PATTERN "autograd" EXCLUDE PATTERN "eager" EXCLUDE PATTERN "emulated" EXCLUDE PATTERN "bench" EXCLUDE)

# What outside implementations are written against, and the helper and examples that speak to `assay --candidate`.
install(FILES suites/assay_candidate.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY docs/examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/assay/examples PATTERN "__pycache__" EXCLUDE)

install(EXPORT assayTargets NAMESPACE assay:: DESTINATION ${_assay_package})
configure_package_config_file(cmake/assayConfig.cmake.in assayConfig.cmake INSTALL_DESTINATION ${_assay_package})
write_basic_package_version_file(assayConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/assayConfig.cmake ${PROJECT_BINARY_DIR}/assayConfigVersion.cmake
        DESTINATION ${_assay_package})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Programs find their neighbours first, then the torch and CUDA libraries they were built against.
foreach(target assay_ops assay fsdp_rank qlora_train)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${CMAKE_BUILD_RPATH}")
    install(TARGETS ${target})
  endif()
endforeach()
