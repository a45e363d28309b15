readonly TMOUT=900
export TMOUT
umask 027
