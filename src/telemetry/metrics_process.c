/* What is read when it is asked for: the process_* metrics that Prometheus' client libraries agree
 * on, from /proc and the kernel's accounts, and the log's count of what it lost. What can't be read is left out: a wrong number is worse than none. */

#include "telemetry/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Where the fields stand behind the ")" that ends the name (proc(5), /proc/pid/stat). */
#define FIELDS_AFTER_NAME 3
#define FIELD_STARTTIME   22
#define FIELD_VSIZE       23
#define FIELD_RSS         24

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void write_cpu(const tn__metrics_page *page)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        tn__metrics_value(page, "process_cpu_seconds_total",
            "User and system CPU time spent in seconds.", TN__COUNTER,
            seconds(usage.ru_utime) + seconds(usage.ru_stime));
    }
}

static void write_fds(const tn__metrics_page *page)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        double n = 0;
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
            n += entry->d_name[0] != '.';
        closedir(dir);
        /* The directory itself was open while it was read. */
        tn__metrics_value(page, "process_open_fds", "Number of open file descriptors.", TN__GAUGE,
            n - 1);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        tn__metrics_value(page, "process_max_fds", "Maximum number of open file descriptors.",
            TN__GAUGE, (double)limit.rlim_cur);
    }
}

/* /proc/self/stat without what stands before the third field, NUL-terminated. */
static bool read_stat(char *text, size_t size, const char **fields)
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    *fields = end == NULL ? NULL : end + 2;
    return end != NULL && end[1] == ' ';
}

static double field(const char *fields, int number)
{
    for (int i = FIELDS_AFTER_NAME; i < number && fields != NULL; i++) {
        fields = strchr(fields, ' ');
        fields = fields == NULL ? NULL : fields + 1;
    }
    return fields == NULL ? 0 : strtod(fields, NULL);
}

/* The start is told in ticks since the boot, which lies this far back from now. */
static double boot_time_s(void)
{
    struct timespec now, since_boot;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return (double)(now.tv_sec - since_boot.tv_sec) +
        (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
}

static void write_stat(const tn__metrics_page *page)
{
    char text[1024];
    const char *fields;
    if (!read_stat(text, sizeof text, &fields))
        return;
    double page_bytes = (double)sysconf(_SC_PAGESIZE);
    double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    tn__metrics_value(page, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
        TN__GAUGE, field(fields, FIELD_VSIZE));
    tn__metrics_value(page, "process_resident_memory_bytes", "Resident memory size in bytes.",
        TN__GAUGE, field(fields, FIELD_RSS) * page_bytes);
    tn__metrics_value(page, "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.", TN__GAUGE,
        boot_time_s() + field(fields, FIELD_STARTTIME) / ticks_per_s);
}

void tn__metrics_process_write(const tn__metrics_page *page)
{
    write_cpu(page);
    write_fds(page);
    write_stat(page);
    tn__metrics_value(page, "trunnion_log_dropped_total",
        "Log lines dropped because nobody read standard output fast enough.", TN__COUNTER,
        (double)tn__log_dropped());
}
