/** A studio's server in memory, for a test that stops its process for a while, as a debugger does. */
import { makeServer } from "./studio-app.ts";

process.env["TESTUDO_LOG_LEVEL"] = "info";
const server = makeServer();
await server.listen(Number(process.env["TEST_PORT"]));
