# Regenerates the scoreboard from RECORDS and compares it with COMMITTED.
if(NOT RECORDS)
  message(FATAL_ERROR "expected record files under results/, found none")
endif()
execute_process(COMMAND ${ASSAY} report ${RECORDS} --out ${OUT} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${OUT}/scoreboard.md ${COMMITTED} RESULT_VARIABLE differs)
if(differs)
  message(FATAL_ERROR "results/SCOREBOARD.md is not what its records give now (a measured source changed, or records were added): "
                      "assay report results/*/*.jsonl --out out && cp out/scoreboard.md results/SCOREBOARD.md")
endif()
