/* A gate between the worker and the server: it passes everything on, until a test says otherwise.
 * One a process, on a thread of its own. */
#pragma once

/* Opens a port on loopback that leads to the server's. Returns the port. */
int gate_open(int server_port);
void gate_close(void);
/* Passes nothing on from the server any more, on the connections there are; what the worker says
 * still reaches the server. */
void gate_deafen(void);
/* Cuts the connections there are. New ones are as good as ever. */
void gate_cut(void);
/* While shut, nobody is let in. */
void gate_shut(_Bool shut);
/* While mute, who is let in never hears anything. */
void gate_mute(_Bool mute);
