/* Signals, as the work of one thread that waits for them: no handler ever interrupts anything.
 *
 * The first SIGTERM, SIGINT or SIGHUP asks for a clean stop, the second ends the process at once.
 * What comes within AGAIN_AFTER_MS of the first is the same request: a terminal signals the whole
 * group, and a wrapper in it passes the signal on.
 * A signal that was ignored when the process started stays so: nohup and the shell's & rely on it.
 * SIGPIPE is ignored, since a peer that has gone is an error of its socket. */

#include "service/service.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define AGAIN_AFTER_MS 100

struct tn__signals {
    pthread_t thread;
    sigset_t set;
    tn_level level;
    void (*on_stop)(void *arg, int signal);
    void *arg;
    int64_t stopping_since_us; /* 0: not stopping */
    atomic_bool closing;
};

static bool is_ignored(int signal)
{
    struct sigaction now;
    return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static sigset_t waited_for(void)
{
    static const int stops[] = { SIGTERM, SIGINT, SIGHUP };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        if (!is_ignored(stops[i]))
            sigaddset(&set, stops[i]);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    return set;
}

void tn__signals_block(void)
{
    sigset_t set = waited_for();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The line is written at the new level, so that it can always be seen. */
static void change_level(tn__signals *signals, int by)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    int level = (int)signals->level + by;
    if (level < TN_DEBUG || level > TN_ERROR)
        return;
    signals->level = (tn_level)level;
    tn__log_level(signals->level);
    TN_LOG(signals->level, "log level changed", TN_LOG_Z("log_level", names[level]));
}

static void stop(tn__signals *signals, int signal)
{
    int64_t now_us = tn__mono_us();
    if (signals->stopping_since_us == 0) {
        signals->stopping_since_us = now_us;
        signals->on_stop(signals->arg, signal);
    } else if (now_us - signals->stopping_since_us >= AGAIN_AFTER_MS * 1000) {
        tn_log(TN_WARN, "stopping at once: asked again", NULL, 0);
        tn__log_flush();
        _exit(128 + signal);
    }
}

static void *wait_for_signals(void *arg)
{
    tn__signals *signals = arg;
    for (;;) {
        int signal = 0;
        if (sigwait(&signals->set, &signal) != 0)
            continue;
        if (atomic_load(&signals->closing))
            return NULL;
        if (signal == SIGUSR1 || signal == SIGUSR2)
            change_level(signals, signal == SIGUSR1 ? -1 : 1);
        else
            stop(signals, signal);
    }
}

tn__signals *tn__signals_open(tn_level level, void (*on_stop)(void *arg, int signal), void *arg)
{
    assert(on_stop != NULL);
    tn__signals *signals = tn__xcalloc(1, sizeof *signals);
    signals->set = waited_for();
    signals->level = level;
    signals->on_stop = on_stop;
    signals->arg = arg;
    if (pthread_create(&signals->thread, NULL, wait_for_signals, signals) != 0)
        abort(); /* At start, before anything was promised: there is nothing to go on with. */
    pthread_setname_np(signals->thread, "signals");
    return signals;
}

void tn__signals_close(tn__signals *signals)
{
    atomic_store(&signals->closing, true);
    pthread_kill(signals->thread, SIGUSR1); /* Any signal that it waits for. */
    pthread_join(signals->thread, NULL);
    free(signals);
}
