/* The C interface: what it refuses, and what it computes. The result is the number of the first check that fails, or 0. */
#include <string.h>

#include "dtmm.h"
#include "expected.h"
#include "model.h"

static __attribute__((aligned(16))) int8_t arena[MODEL_ARENA_BYTES + 16];
static __attribute__((aligned(16))) uint8_t copy[MODEL_PACKAGE_BYTES + 16];
static int layers;

static void count(uint16_t layer, const int8_t *output, size_t elements, void *user) {
    if (layer == layers && output && elements && user == arena) layers++;
}

static int refusals(dtmm_model *model) {
    memset(model, 0, sizeof *model);
    if (dtmm_run(model) != DTMM_NOT_CREATED || dtmm_run(0) != DTMM_NULL) return 1;
    if (dtmm_create(model, 0, 64, arena, sizeof arena) != DTMM_NULL) return 2;
    if (dtmm_create(model, model_package, MODEL_PACKAGE_BYTES, 0, sizeof arena) != DTMM_NULL) return 3;
    if (dtmm_create(model, model_package, MODEL_PACKAGE_BYTES - 1, arena, sizeof arena) != DTMM_TRUNCATED) return 4;
    if (dtmm_create(model, model_package, MODEL_PACKAGE_BYTES, arena, MODEL_ARENA_BYTES - 1) != DTMM_ARENA_TOO_SMALL)
        return 5;
    if (dtmm_create(model, model_package, MODEL_PACKAGE_BYTES, arena + 4, MODEL_ARENA_BYTES) != DTMM_ARENA_ALIGNMENT)
        return 6;
    memcpy(copy + 4, model_package, MODEL_PACKAGE_BYTES);
    if (dtmm_check(copy + 4, MODEL_PACKAGE_BYTES) != DTMM_PACKAGE_ALIGNMENT) return 7;
    memcpy(copy, model_package, MODEL_PACKAGE_BYTES);
    copy[MODEL_PACKAGE_BYTES / 2] ^= 0x10;
    if (dtmm_check(copy, MODEL_PACKAGE_BYTES) != DTMM_CHECKSUM) return 8;
    if (dtmm_create(model, copy, MODEL_PACKAGE_BYTES, arena, sizeof arena) != DTMM_CHECKSUM) return 9;
    if (dtmm_run(model) != DTMM_NOT_CREATED || dtmm_input(model, 0, 0)) return 10;
    /* The library has the exported model's operators only. */
    if (dtmm_check(other_package, sizeof other_package) != DTMM_OPERATOR) return 11;
    if (dtmm_create(model, other_package, sizeof other_package, arena, sizeof arena) != DTMM_OPERATOR) return 12;
    /* What a model needs beside its arena. */
    return sizeof(dtmm_model) <= 256 ? 0 : 13;
}

static int results(dtmm_model *model) {
    size_t elements = 0;
    if (dtmm_check(model_package, MODEL_PACKAGE_BYTES) != DTMM_OK) return 20;
    if (dtmm_arena_bytes(model_package, MODEL_PACKAGE_BYTES) != MODEL_ARENA_BYTES) return 21;
    if (dtmm_create(model, model_package, MODEL_PACKAGE_BYTES, arena, MODEL_ARENA_BYTES) != DTMM_OK) return 22;
    int8_t *input = dtmm_input(model, 0, &elements);
    if (!input || elements != sizeof expected_input || elements != MODEL_INPUT0_ELEMENTS) return 23;
    if (dtmm_input(model, 1, &elements) || elements) return 24;
    memcpy(input, expected_input, sizeof expected_input);
    if (dtmm_run(model) != DTMM_OK) return 25;
    const int8_t *output = dtmm_output(model, 0, &elements);
    if (!output || elements != sizeof expected_output || memcmp(output, expected_output, elements)) return 26;
    memcpy(dtmm_input(model, 0, 0), expected_input, sizeof expected_input);
    if (dtmm_run_with(model, 0, 0) != DTMM_NULL || dtmm_run_with(model, count, arena) != DTMM_OK) return 27;
    if (layers != 1 || memcmp(dtmm_output(model, 0, 0), expected_output, sizeof expected_output)) return 28;
    return 0;
}

int test(void) {
    dtmm_model model;
    int failed = refusals(&model);
    return failed ? failed : results(&model);
}
