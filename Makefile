# The two commands: `make run` and `make test`. Both install what is missing, as root on Debian 12 or 13; where make itself
# is missing, `scripts/make.sh run` and `scripts/make.sh test` do the same. CONFIGURE='-D...' goes to CMake.
.DEFAULT_GOAL := build
FUZZ_SECONDS ?= 300
# A first build of everything takes half the time when sources are joined. Who has configured build/ keeps what it has.
JOIN := $(if $(wildcard build/CMakeCache.txt),,-DCMAKE_UNITY_BUILD=ON)
.PHONY: build all run test unit fuzz bench conformance mutants arm64 deb dist ansible reproducible format tidy clean
.PHONY: deps-build deps-all deps-package deps-arm64 deps-test deps-bench

deps-build deps-all deps-package deps-arm64 deps-test deps-bench: deps-%:
	@scripts/deps.sh $*

build: deps-build           ## leaves build/anybind, and what `cmake --install build` needs
	@[ -f build/build.ninja ] || cmake --preset default -DANYBIND_TESTS=OFF -DANYBIND_BENCH=OFF $(JOIN) $(CONFIGURE) >/dev/null
	@cmake --build --preset default --target anybind libanybind -- --quiet

all: deps-all               ## with the tests and the benchmarks
	@cmake --preset default -DANYBIND_TESTS=ON -DANYBIND_BENCH=ON $(JOIN) $(CONFIGURE) >/dev/null
	@cmake --build --preset default -- --quiet

run: build                  ## the main job, on the embedded driver core
	@examples/demo.sh build/anybind

test: deps-test all         ## every test; the last line counts them
	@scripts/test.sh

unit: all                   ## only the unit tests: seconds
	@ctest --test-dir build -L unit -j2 --output-on-failure

fuzz: deps-test            ## each fuzzer for five minutes; FUZZ_SECONDS=3600 for an hour
	@scripts/fuzz.sh $(FUZZ_SECONDS)

bench: deps-bench all       ## the tables that docs/benchmarks.md quotes
	@bench/run.py all --anybind build/anybind

conformance: deps-test all  ## 100,000 random operations on real kernels and their models; half an hour
	@scripts/conformance.sh 100000

mutants: deps-test          ## small faults put into a copy of the sources: does a test see each? An hour or less
	@tests/mutants/run.py

arm64: deps-arm64           ## the command for arm64, compiled on a machine of another kind: build/arm64/obj/anybind
	@scripts/arm64.sh

deb: deps-package           ## Debian's packages, with an SBOM and SHA256SUMS: build/dist/
	@scripts/deb.sh

dist: deps-package          ## the sources as a tarball that needs no git: build/dist/
	@scripts/release.py dist build/dist && scripts/release.py sums build/dist

ansible: build              ## the collection for Ansible: build/dist/
	@scripts/ansible.sh build/dist build/anybind

reproducible: deps-test     ## two builds of the packages in different surroundings: are they the same bytes?
	@scripts/reproducible.sh

format: deps-test           ## rewrites the sources in the project's format
	@scripts/format.sh --fix

tidy: deps-test build       ## clang-tidy over everything
	@scripts/tidy.sh

clean:
	rm -rf build
