/* Everything a service needs. */
#pragma once

#include <trunnion/log.h>
#include <trunnion/service.h>
