# Installs the build BUILD below WORK, then configures, builds and runs the project CONSUMER against it alone.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  message("${text}")
  if(NOT status EQUAL 0)
    string(JOIN " " command ${ARGV})
    message(FATAL_ERROR "expected exit status 0, found ${status} of: ${command}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -G Ninja -S ${CONSUMER} -B ${WORK}/build -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix -DCUDAToolkit_ROOT=${CUDA})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
if(EXISTS ${WORK}/prefix/bin/assay)
  run(${WORK}/prefix/bin/assay list)
  # A candidate built against the installed header and judged by the installed program.
  run(${CC} -shared -fPIC -O2 -ffp-contract=off -I ${WORK}/prefix/include
      ${WORK}/prefix/share/assay/examples/nf4_candidate.c -o ${WORK}/mine.so)
  run(${WORK}/prefix/bin/assay verify nf4/dequantize/1x16385 --device cpu --candidate ${WORK}/mine.so)
endif()
file(REMOVE_RECURSE ${WORK})
