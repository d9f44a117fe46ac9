/* Written by `dtmm export`: fill the input, run, read the output. */
#include "dtmm.h"
#include "model.h"

static __attribute__((aligned(16))) int8_t arena[MODEL_ARENA_BYTES];

int main(void) {
    dtmm_model model;
    dtmm_status status = dtmm_create(&model, model_package, MODEL_PACKAGE_BYTES, arena, sizeof arena);
    if (status != DTMM_OK) return status;
    size_t elements;
    int8_t *input = dtmm_input(&model, 0, &elements);
    for (size_t i = 0; i < elements; i++) input[i] = MODEL_INPUT0_ZERO_POINT;
    status = dtmm_run(&model);
    return status != DTMM_OK ? status : dtmm_output(&model, 0, &elements)[0];
}
