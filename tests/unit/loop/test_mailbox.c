/* Posting from other threads: nothing is lost, and the order of each sender is kept. */
#include "fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDERS = 4, POSTS_A_SENDER = 20000 };

typedef struct {
    int sender, number;
} letter;

static int next_number[SENDERS];
static int received, out_of_order;

static void receive(void *arg)
{
    letter *l = arg;
    out_of_order += l->number != next_number[l->sender];
    next_number[l->sender] = l->number + 1;
    free(l);
    if (++received == SENDERS * POSTS_A_SENDER)
        tn__loop_stop(loop);
}

static void *send_all(void *arg)
{
    int sender = *(int *)arg;
    for (int i = 0; i < POSTS_A_SENDER; i++) {
        letter *l = tn__xmalloc(sizeof *l);
        *l = (letter){ .sender = sender, .number = i };
        tn__loop_post(loop, receive, l);
        if (i % 1000 == 0)
            usleep(100); /* so that the loop falls asleep now and then */
    }
    return NULL;
}

static void posts_arrive_whole_and_in_the_order_of_each_sender(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    int numbers[SENDERS];
    received = out_of_order = 0;
    memset(next_number, 0, sizeof next_number);
    for (int i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &numbers[i]), 0);
    }
    run_until_stopped();
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(received, SENDERS * POSTS_A_SENDER);
    assert_int_equal(out_of_order, 0);
}

/* One letter goes back and forth: each time the receiver sleeps and must be woken. */
enum { ROUNDS = 2000 };
static tn__loop *peer;
static sem_t peer_may_close; /* nobody is inside a call on its loop any more */
static int rounds;

static void pong(void *arg);

static void ping(void *arg)
{
    if (++rounds == ROUNDS) {
        tn__loop_stop(peer);
        tn__loop_stop(loop);
    } else {
        tn__loop_post(peer, pong, arg);
    }
}

static void pong(void *arg)
{
    tn__loop_post(loop, ping, arg);
}

static void *run_peer(void *arg)
{
    peer = tn__loop_open();
    tn__loop_post(loop, ping, arg);
    tn__loop_run(peer);
    while (sem_wait(&peer_may_close) != 0)
        ; /* a signal came */
    tn__loop_close(peer);
    return NULL;
}

static void sleeping_loops_wake_each_other(void **state)
{
    (void)state;
    pthread_t thread;
    rounds = 0;
    assert_int_equal(sem_init(&peer_may_close, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_peer, NULL), 0);
    run_until_stopped();
    assert_int_equal(sem_post(&peer_may_close), 0);
    pthread_join(thread, NULL);
    assert_int_equal(sem_destroy(&peer_may_close), 0);
    assert_int_equal(rounds, ROUNDS);
}

static int runs;

static void count_run(void *arg)
{
    (void)arg;
    runs++;
}

static void post_again(void *arg)
{
    runs++;
    tn__loop_post(loop, count_run, arg);
}

static void post_of_the_own_thread_is_run_in_a_later_turn(void **state)
{
    (void)state;
    runs = 0;
    tn__loop_post(loop, post_again, NULL);
    assert_int_equal(runs, 0);
    run_turns(1);
    assert_int_equal(runs, 1);
    run_turns(1);
    assert_int_equal(runs, 2);
}

static void posts_not_yet_run_are_dropped_at_the_end(void **state)
{
    (void)state;
    runs = 0;
    loop = tn__loop_open();
    tn__loop_post(loop, count_run, NULL);
    tn__loop_post(loop, count_run, NULL);
    tn__loop_close(loop);
    assert_int_equal(runs, 0);
}

static void wake_posted(void *arg)
{
    tn__co_wake(arg);
}

static void *wake_from_afar(void *arg)
{
    usleep(5000);
    tn__loop_post(loop, wake_posted, arg);
    return NULL;
}

static void wait_then_stop(void *arg)
{
    *(tn__woke *)arg = tn__co_wait(TN__NEVER);
    tn__loop_stop(loop);
}

static void coroutine_is_woken_by_another_thread_through_a_post(void **state)
{
    (void)state;
    pthread_t thread;
    tn__woke woke = TN__CANCELLED;
    tn__co *co = tn__co_start(loop, wait_then_stop, &woke);
    assert_int_equal(pthread_create(&thread, NULL, wake_from_afar, co), 0);
    run_until_stopped();
    pthread_join(thread, NULL);
    assert_int_equal(woke, TN__WOKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(posts_arrive_whole_and_in_the_order_of_each_sender),
        LOOP_TEST(sleeping_loops_wake_each_other),
        LOOP_TEST(post_of_the_own_thread_is_run_in_a_later_turn),
        cmocka_unit_test(posts_not_yet_run_are_dropped_at_the_end),
        LOOP_TEST(coroutine_is_woken_by_another_thread_through_a_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
