// The time zones of cron triggers, in every program: the image is the program alone. In a file of its own and not by
// build tag timetzdata, which would compile the standard library, and all that stands on it, once more.
package version

import _ "time/tzdata"
