// SPDX-License-Identifier: Apache-2.0
// Everything a plugin author includes.
#pragma once

#include "rideau/abi.hpp"
#include "rideau/index_store.hpp"
#include "rideau/object_store.hpp"
#include "rideau/transport.hpp"
