# What was built: the commit and the digest of every source, compiled in. A target of every build looks again and
# rewrites build/provenance/provenance.cpp only when something changed; everything else stays as it was built.
set(_provenance_source ${PROJECT_BINARY_DIR}/provenance/provenance.cpp)

add_custom_target(assay_write_provenance BYPRODUCTS ${_provenance_source}
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DOUT=${_provenance_source}
          -P ${PROJECT_SOURCE_DIR}/cmake/WriteProvenance.cmake
  COMMENT "Looking for changed sources" VERBATIM)

# Links into whoever asks harness/record/provenance.hpp: target_link_libraries(… assay_provenance).
add_library(assay_provenance STATIC ${_provenance_source})
add_dependencies(assay_provenance assay_write_provenance)
target_link_libraries(assay_provenance PRIVATE assay_flags)
