// The parts of engine._core, each bound in a file of its own.
#pragma once

#include <nanobind/nanobind.h>

void bind_engine(nanobind::module_& m);
void bind_link(nanobind::module_& m);
void bind_core(nanobind::module_& m);
void bind_log(nanobind::module_& m);
void bind_replay(nanobind::module_& m);
