/* Start-up and exit of a test program under emulation. */
#include <stdint.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];
int test(void);

static void finish(uint32_t status) {
    const uint32_t block[2] = {0x20026, status};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *parameter __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(parameter) : "memory");
    for (;;) {}
}

static void fault(void) { finish(102); }

void Reset(void) {
    /* The floating-point unit, which the calling convention may use. */
    *(volatile uint32_t *)0xe000ed88 |= 0x00f00000;
    __asm__ volatile("dsb\n isb");
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
    finish((uint32_t)test());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, Reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
};
