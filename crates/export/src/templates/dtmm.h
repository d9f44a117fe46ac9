/* Written by `dtmm export`. The DTMM runtime: int8 neural networks on microcontrollers.
 *
 * Nothing is allocated, there is no global state, and no function calls another library. Functions of one model must not
 * run at the same time. Activations are int8, height x width x channels, channels innermost. */
#ifndef DTMM_H
#define DTMM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Why a function refused to work. The values are stable. */
enum {
@STATUSES@
};

/** One of the values above. */
typedef uint8_t dtmm_status;

/** A package bound to an arena. Its content is the library's own. */
typedef struct dtmm_model {
    uint32_t words[41];
} dtmm_model;

/** Called after each layer: its number from 0, its output, and what was given to dtmm_run_with. */
typedef void (*dtmm_layer_callback)(uint16_t layer, const int8_t *output, size_t elements, void *user);

/** Checks all of a package. It must start at a multiple of 16. */
dtmm_status dtmm_check(const uint8_t *package, size_t package_bytes);

/** Bytes of the arena that a package needs; 0 when dtmm_check refuses it. */
size_t dtmm_arena_bytes(const uint8_t *package, size_t package_bytes);

/** Checks a package and binds it to an arena, which must start at a multiple of 16 and have at least dtmm_arena_bytes.
 * Package and arena must stay as long as the model is used. A refused package is never read beyond its end, and nothing is
 * ever written outside the arena. */
dtmm_status dtmm_create(dtmm_model *model, const uint8_t *package, size_t package_bytes, int8_t *arena,
                        size_t arena_bytes);

/** The values of an input, to be written before every run: its memory may be used while the model runs. Null when there is
 * no such input. `elements`, which may be null, gets their number. */
int8_t *dtmm_input(dtmm_model *model, size_t index, size_t *elements);

/** The values of an output of the last run. Null when there is no such output. */
const int8_t *dtmm_output(dtmm_model *model, size_t index, size_t *elements);

/** Runs all layers. */
dtmm_status dtmm_run(dtmm_model *model);

/** Runs all layers and calls `callback` after each. */
dtmm_status dtmm_run_with(dtmm_model *model, dtmm_layer_callback callback, void *user);

#ifdef __cplusplus
}
#endif

#endif
