# Each target is one line: a script in tools/ or a folder's own run script does the work.
# Everything that is made lies in build*/ and .trunnion/.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
NAME ?=
ARGS ?=
FROM ?=

.PHONY: help setup build run demo test unit integration conformance check contract format \
	sanitize tsan fuzz bench docs-page new-service up down status logs backup restore clean distclean

help:        ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:       ## Install the Debian packages for everything here; says which and why first.
	@tools/setup all

build:       ## Build the library and the services into build/.
	@tools/setup build && tools/docs-page/make && tools/build release

run:         ## Install, build and start everything; Ctrl-C stops it.
	@tools/run

demo:        ## Show one round trip through what `make run` runs.
	@tools/demo

test:        ## Set everything up and run all tests and checks.
	@tools/test

unit:        ## Run the unit tests, with the sanitizers.
	@tools/test unit

integration: ## Run the tests against real servers, with the sanitizers.
	@tools/test integration

conformance: ## Hold every pairing of implementations to the contract; ARGS=--outside is brief.
	@tools/setup test && tools/build release && tools/conformance/run $(ARGS)

check:       ## Check format, bugs, banned functions, layers and lengths.
	@tools/setup test && tools/check

contract:    ## Write the contract files anew, as the built programs tell them.
	@tools/build release && tools/contract

format:      ## Format all C code.
	@tools/check --fix format

sanitize:    ## Build with AddressSanitizer and UndefinedBehaviorSanitizer into build-asan/.
	@tools/setup test && tools/build asan

tsan:        ## Build with ThreadSanitizer into build-tsan/ and test the threads.
	@tools/test tsan

fuzz:        ## Fuzz the parsers for a while.
	@tools/test fuzz

bench:       ## Measure the services, and all implementations side by side.
	@tools/setup bench && tools/build release && bench/run && bench/peers

docs-page:   ## Fetch the parts of the docs page again.
	@tools/docs-page/make --again

new-service: ## Make a third service: make new-service NAME=orders
	@tools/new-service $(NAME)

up:          ## Start the whole platform in containers; makes its secrets first.
	@tools/platform up

down:        ## Stop the platform; its data stays.
	@tools/platform down

status:      ## Say what of the platform is up and healthy, and where it is reached.
	@tools/platform status

logs:        ## Follow the platform's log lines.
	@tools/platform logs

backup:      ## Copy the platform's databases into .trunnion/backups/.
	@tools/platform backup

restore:     ## Put the databases back from the latest copy, or make restore FROM=folder.
	@tools/platform restore $(FROM)

clean:       ## Remove what was built.
	@rm -rf build build-asan build-tsan build-fuzz

distclean: clean ## Stop this checkout's servers; remove their data and all else that was made.
	@tools/distclean
