# Targets of the bakery's tools.
cmake_minimum_required(VERSION 3.20)
project(bakery LANGUAGES C)

include(GNUInstallDirs)
find_package(Threads REQUIRED)
add_subdirectory(ovens)

set(BAKERY_SOURCES
  src/order.c
  src/bread.c)

# Adds a library with the warnings of the house.
function(bakery_add_library name)
  cmake_parse_arguments(ARG "QUIET" "FOLDER" "SOURCES" ${ARGN})
  if(NOT ARG_SOURCES AND NOT ARG_QUIET)
    message(FATAL_ERROR "${name} has no sources")
  elseif(ARG_FOLDER OR WIN32)
    foreach(source IN LISTS ARG_SOURCES)
      list(APPEND paths "${ARG_FOLDER}/${source}")
    endforeach()
  else()
    set(paths ${ARG_SOURCES})
  endif()
  add_library(${name} STATIC ${paths})
endfunction()

#[=======================[.rst:
Appends a flag to a variable,
once for each configuration.
#]=======================]
macro(bakery_append_flag variable flag)
  set(${variable} "${${variable}} ${flag}")
endmacro()

# What all programs share.
add_library(bread STATIC ${BAKERY_SOURCES})
target_link_libraries(bread PUBLIC Threads::Threads)

add_executable(print-orders src/main.c)

if(BUILD_TESTING)
  ADD_TEST(NAME orders-are-printed COMMAND print-orders --check)
endif()

add_custom_target(recipes
  COMMAND print-orders --recipes
  DEPENDS bread)
